import t from 'tap'
import { join } from 'node:path'
import { root } from '../launch.ts'
import { coverageOf } from './coverage.ts'

t.test('a source that no test loads counts as not run, one with types alone not at all', async t => {
  const files = await coverageOf('server/ports', {})
  t.ok(files.length > 3)
  t.notOk(files.some(({ file }) => file.includes('.contract.')))
  const types = files.find(({ file }) => file === 'server/ports/logger.ts')
  t.match(types, { lines: { all: 0, run: 0 }, branches: { all: 0, run: 0 }, missed: [] })
  const code = files.find(({ file }) => file === 'server/ports/access.ts')
  t.match(code, { lines: { run: 0 }, branches: { all: 1, run: 0 } })
  t.ok(code && code.lines.all > 0 && code.missed.length === code.lines.all)
})

t.test('lines that did not run and branches that were not taken are counted and named', async t => {
  const span = (line: number) => ({ start: { line }, end: { line } })
  const report = {
    [join(root, 'server/stomp/frame.ts')]: {
      statementMap: { 0: span(1), 1: span(2), 2: span(3) },
      s: { 0: 4, 1: 0, 2: 1 },
      branchMap: { 0: { line: 3, locations: [span(3)] }, 1: { line: 5, locations: [span(5), span(6)] } },
      b: { 0: [1], 1: [2, 0] },
    },
  }
  const files = await coverageOf('server/stomp', report)
  const frame = files.find(({ file }) => file === 'server/stomp/frame.ts')
  t.match(frame, { lines: { all: 3, run: 2 }, branches: { all: 3, run: 2 }, missed: [2, 6] })
})
