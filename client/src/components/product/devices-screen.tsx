import type { Device } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { formatBrief, text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'
import { Listing, Screen } from './screen.tsx'
import { SignOut } from './sign-out.tsx'

/** Where one is signed in. */
export const DevicesScreen = () => {
  const { api, changes } = useProduct()
  const devices = useList<Device>('/sessions', ['devices'])
  const others = devices.items?.some(({ current }) => !current)
  const end = (which: string) => async (): Promise<void> => {
    await api.delete(`/sessions/${which}`)
    changes.happened('devices')
  }
  return (
    <Screen title={text.devices} back={{ href: '#/account', label: text.account }}>
      <Listing
        list={devices}
        empty=""
        render={device => (
          <li key={device.id} className="row">
            <span className="who-text">
              <span className="who-name">{device.device || text.unknownDevice}</span>
              <span className="faint">
                {device.address} · {text.lastSeen(formatBrief(device.lastSeenAt))}
              </span>
            </span>
            <span className="acts">
              {device.current ? (
                <span className="tag">{text.thisDevice}</span>
              ) : (
                <ActButton act={end(device.id)} whom={device.device || text.unknownDevice}>
                  {text.end}
                </ActButton>
              )}
            </span>
          </li>
        )}
      />
      <p className="acts start">
        {others && (
          <ActButton grave act={end('others')}>
            {text.endOthers}
          </ActButton>
        )}
        <SignOut everywhere />
      </p>
    </Screen>
  )
}
