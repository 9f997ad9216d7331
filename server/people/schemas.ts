/** What goes over HTTP, as the document shows it. */

import { Type } from 'typebox'
import { Id, Time } from '../http/api.ts'

export const Params = Type.Object({ id: Id })
export const LastSeen = Type.Optional(Time('When they were last there, epoch ms; left out where they never were'))
/** The place in a list that goes by time. */
export const DatedPlace = Type.Tuple([Type.Integer(), Type.String()])
