import t from 'tap'
import { readPlans } from './plans.ts'

const entry = (ms: string, text: string, plan: object): string => {
  const json = JSON.stringify({ 'Query Text': text, 'Plan': plan }, undefined, 2).replaceAll('\n', '\n\t')
  return `2026-11-21 15:00:00.123 UTC [42] LOG:  duration: ${ms} ms  plan:\n\t${json}\n`
}

t.test('rows that are read without an index are counted, of the worst time of each statement', async t => {
  const index = { 'Node Type': 'Index Scan', 'Relation Name': 'members', 'Actual Rows': 90_000, 'Actual Loops': 1 }
  const scan = (rows: number, loops: number) => ({
    'Node Type': 'Seq Scan',
    'Relation Name': 'rooms',
    'Actual Rows': rows,
    'Rows Removed by Filter': 5,
    'Actual Loops': loops,
  })
  const log = [
    'LOG:  something else\n',
    entry('1.5', 'select 1', { 'Node Type': 'Nested Loop', 'Plans': [index, scan(10, 3)] }),
    entry('0.25', 'select 2', index),
    entry('9', 'select 1', { 'Node Type': 'Limit', 'Plans': [scan(1, 1)] }),
    entry('2', 'select 3', { ...scan(100, 2), 'Node Type': 'Parallel Seq Scan', 'Relation Name': 'users' }),
  ].join('')
  t.same(readPlans(log), [
    { text: 'select 3', times: 1, inSequence: 210, tables: new Set(['users']), slowest: 2 },
    { text: 'select 1', times: 2, inSequence: 45, tables: new Set(['rooms']), slowest: 9 },
    { text: 'select 2', times: 1, inSequence: 0, tables: new Set(), slowest: 0.25 },
  ])
})
