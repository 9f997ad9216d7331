/** What goes over HTTP, as the document shows it. */

import { Type } from 'typebox'

export const Id = Type.String({ minLength: 1, maxLength: 64, examples: ['0c8v2m6q1x7f4k9z3t5r8w2y1'] })
export const Time = (description: string) => Type.Integer({ description, examples: [1795251122000] })
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
  createdAt: Time('Epoch ms'),
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
