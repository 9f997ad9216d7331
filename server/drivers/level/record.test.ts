import { deepEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { bytesAtMost, decode, encode } from './record.ts'

const text = fc.string({ unit: 'binary', maxLength: 100 })
const records = fc.record({
  sender: text,
  headers: fc.array(fc.tuple(text, text), { maxLength: 20 }).map(entries => new Map(entries)),
  body: fc.uint8Array({ maxLength: 500 }).map(bytes => Buffer.from(bytes)),
})

t.test('decode is the inverse of encode, and no value is longer than foretold', async () => {
  fc.assert(
    fc.property(records, fc.nat({ max: 2 ** 48 - 1 }), fc.bigInt({ min: 0n }), (record, time, offset) => {
      const into = Buffer.alloc(bytesAtMost(record))
      const value = into.subarray(0, encode(record, time, into))
      const decoded = decode(offset, value)
      deepEqual(decoded, { offset, time, ...record, body: decoded.body })
      deepEqual([...decoded.headers], [...record.headers])
      equal(decoded.body.compare(record.body), 0)
    }),
    { numRuns: 500 },
  )
})
