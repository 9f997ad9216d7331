interface IconProps {
  readonly path: string
  readonly className?: string
}

const Icon = ({ path, className = 'icon' }: IconProps) => (
  <svg className={className} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d={path} />
  </svg>
)

export const MenuIcon = () => <Icon path="M4 7h16M4 12h16M4 17h10" />
export const CloseIcon = () => <Icon path="M6 6l12 12M18 6L6 18" />
export const SendIcon = () => <Icon path="M12 20V5M5.5 11.5L12 5l6.5 6.5" />
export const DownIcon = () => <Icon path="M12 5v14M5.5 12.5L12 19l6.5-6.5" />
export const LinkIcon = () => (
  <Icon path="M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1" />
)
export const CheckIcon = () => <Icon path="M5 12.5l4.5 4.5L19 7.5" />
export const ClockIcon = () => <Icon path="M12 7v5l3 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0" />
export const AlertIcon = () => <Icon path="M12 7.5v5.5M12 16.5v.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0" />
export const PlusIcon = () => <Icon path="M12 5v14M5 12h14" />

export const BellIcon = () => <Icon path="M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5a2.2 2.2 0 0 0 4 0" />
export const HomeIcon = () => <Icon path="M4 11.5L12 4.5l8 7V20h-5.5v-5h-5v5H4z" />
export const PeopleIcon = () => (
  <Icon path="M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M2.5 20a6.5 6.5 0 0 1 13 0M16 5a3.5 3.5 0 0 1 0 6.6M18 14.2a6.5 6.5 0 0 1 3.5 5.8" />
)
export const InviteIcon = () => (
  <Icon path="M10 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M3.5 20a6.5 6.5 0 0 1 13 0M19.5 8v6M16.5 11h6" />
)
export const GearIcon = () => (
  <Icon path="M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6M12 2.8v2.6M12 18.6v2.6M2.8 12h2.6M18.6 12h2.6M5.5 5.5l1.8 1.8M16.7 16.7l1.8 1.8M18.5 5.5l-1.8 1.8M7.3 16.7l-1.8 1.8" />
)
export const SearchIcon = () => <Icon path="M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13M15.5 15.5L20.5 20.5" />

/** A horseshoe with three dots in it, as of someone about to speak. */
export const Logo = () => (
  <svg className="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path className="logo-shoe" d="M9.8 28C6.6 23.5 4.8 19.2 4.8 15a11.2 11.2 0 0 1 22.4 0c0 4.2-1.8 8.5-5 13" />
    <g className="logo-dots">
      <circle cx="11.2" cy="16" r="1.8" />
      <circle cx="16" cy="16" r="1.8" />
      <circle cx="20.8" cy="16" r="1.8" />
    </g>
  </svg>
)
