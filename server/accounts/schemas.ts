/** What goes over HTTP, as the document shows it. */

import { Type } from 'typebox'
import { Id, Time } from '../http/api.ts'

const Name = Type.String({ description: 'Unique, whatever its case', examples: ['ann'] })
const DisplayName = Type.String({ examples: ['Ann Lee'] })
const StatusText = Type.String({ examples: ['On a walk'] })

export const PersonSchema = Type.Object({
  id: Id,
  name: Name,
  displayName: DisplayName,
  statusText: StatusText,
})

export const AccountSchema = Type.Object({
  ...PersonSchema.properties,
  isAdmin: Type.Boolean(),
  createdAt: Time(),
})

/** As somebody writes it: the rules of names are applied afterwards. */
export const NewName = Type.String({ minLength: 1, maxLength: 200, examples: ['ann'] })
export const GivenPassword = Type.String({ minLength: 1, maxLength: 1024, examples: ['correct horse'] })
export const NewPassword = Type.String({
  minLength: 1,
  maxLength: 1024,
  description: '8 to 256 characters of any kind',
  examples: ['correct horse'],
})
export const NewDisplayName = Type.String({ maxLength: 64, examples: ['Ann Lee'] })
export const NewStatusText = Type.String({ maxLength: 140, examples: ['On a walk'] })
