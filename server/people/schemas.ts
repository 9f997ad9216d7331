/** What goes over HTTP, as the document shows it. */

import { Type } from 'typebox'

export const Id = Type.String({ minLength: 1, maxLength: 64, examples: ['0c8v2m6q1x7f4k9z3t5r8w2y1'] })
export const Params = Type.Object({ id: Id })
export const Time = (description: string) => Type.Integer({ description, examples: [1795251122000] })
export const LastSeen = Type.Optional(Time('When they were last there, epoch ms; left out where they never were'))
/** The place in a list that goes by time. */
export const DatedPlace = Type.Tuple([Type.Integer(), Type.String()])
