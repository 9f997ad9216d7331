import { Type } from 'typebox'
import { LAST_TIME } from '../database/database.ts'

/** Of whatever it is: opaque. */
export const Id = Type.String({ minLength: 1, maxLength: 64, examples: ['0c8v2m6q1x7f4k9z3t5r8w2y1'] })
export const Time = (description = 'Epoch ms') =>
  Type.Integer({ minimum: 0, maximum: LAST_TIME, description, examples: [1795251122000] })

/** Whether a database keeps every text in `value`, which is anything of JSON: none holds NUL, or half a character. */
export const canBeKept = (value: unknown): boolean => {
  // However deep it is.
  const left = [value]
  while (left.length > 0) {
    const each = left.pop()
    if (typeof each === 'string' && (each.includes('\0') || !each.isWellFormed())) return false
    if (typeof each === 'object' && each !== null) for (const part of Object.values(each)) left.push(part)
  }
  return true
}
