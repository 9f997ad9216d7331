import { useId } from 'react'
import type { OpenVisibility } from '../../api-types.ts'
import { text } from '../../text/text.ts'

interface VisibilityFieldProps {
  readonly value: OpenVisibility
  readonly onChange: (value: OpenVisibility) => void
}

export const VisibilityField = ({ value, onChange }: VisibilityFieldProps) => {
  const name = useId()
  return (
    <fieldset className="choice">
      <legend>{text.visibility}</legend>
      {(['private', 'public'] as const).map(each => (
        <label key={each}>
          <input type="radio" name={name} checked={value === each} onChange={() => onChange(each)} />
          <span>
            {text[`visibility.${each}`]}
            <span className="hint">{each === 'public' ? text.publicHint : text.privateHint}</span>
          </span>
        </label>
      ))}
    </fieldset>
  )
}
