/** What goes over HTTP, as the document shows it. */

import { Type } from 'typebox'
import { Id, Time } from '../http/api.ts'

export const Params = Type.Object({ id: Id })
export const LastSeen = Type.Optional(Time('When they were last there, epoch ms; left out where they never were'))
