import { Type } from 'typebox'

/** Of whatever it is: opaque. */
export const Id = Type.String({ minLength: 1, maxLength: 64, examples: ['0c8v2m6q1x7f4k9z3t5r8w2y1'] })
export const Time = (description = 'Epoch ms') => Type.Integer({ description, examples: [1795251122000] })
