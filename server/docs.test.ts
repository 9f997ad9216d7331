import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { keys } from './config.ts'
import { errors } from './errors.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const tests = ['server', 'kafka', 'client/src', 'scripts']
  .flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(file => join(folder, file)),
  )
  .filter(file => /\.(test|contract)\.ts$/.test(file) && !file.includes('node_modules'))
const titles = tests.map(read).join('\n')

/** What `pattern` finds in `text`, each once, in order of the text. */
const all = (text: string, pattern: RegExp): string[] => [
  ...new Set(Array.from(text.matchAll(pattern), match => match[1]!)),
]

t.test('every clause of PROTOCOL.md is quoted by a test, and no other', async t => {
  const clauses = all(read('server/PROTOCOL.md'), /^- \[(S-\d+)\]/gm)
  t.same(
    clauses,
    Array.from(clauses, (_, i) => `S-${String(i + 1).padStart(2, '0')}`),
    'numbered without a hole',
  )
  const quoted = new Set(all(titles, /\[(S-\d+)\]/g))
  t.same(
    clauses.filter(clause => !quoted.has(clause)),
    [],
  )
  t.same(
    [...quoted].filter(clause => !clauses.includes(clause)),
    [],
  )
})

t.test('every line of the checklist is quoted by a test', async t => {
  const lines = all(read('server/PROTOCOL.md'), /^(\d+)\. /gm)
  t.equal(lines.length, 67)
  const quoted = new Set(all(titles, /\[checklist ([\d, ]+)\]/g).flatMap(list => list.split(/[, ]+/)))
  t.same(
    lines.filter(line => !quoted.has(line)),
    [],
  )
})

t.test('every error code is in the table of PROTOCOL.md, and no other', async t => {
  t.same(all(read('server/PROTOCOL.md'), /^\| `([A-Z_]+)` \|/gm).toSorted(), Object.keys(errors).toSorted())
})

t.test('every configuration key is in the table of the README, with its default, and no other', async t => {
  const rows = Array.from(read('README.md').matchAll(/^\| `([A-Z_]+)` \|([^|]*)\|/gm), ([, key, value]) => [
    key,
    value!.trim(),
  ])
  const expected = Object.entries(keys).map(([key, spec]) => {
    const { fallback } = spec as { fallback?: string }
    return [key, fallback === undefined ? undefined : `\`${fallback}\``]
  })
  t.same(rows.map(([key]) => key).toSorted(), expected.map(([key]) => key).toSorted())
  const documented = new Map(rows as [string, string][])
  for (const [key, value] of expected) if (value !== undefined) t.equal(documented.get(key!), value, `${key}`)
})

t.test('every target of the Makefile is in the README', async t => {
  const targets = all(read('Makefile'), /^([a-z-]+):.*##/gm)
  const readme = read('README.md')
  t.same(
    targets.filter(target => !readme.includes(`make ${target}`)),
    [],
  )
})

t.test('what the documents link to is there', async t => {
  for (const file of [
    'README.md',
    'server/PROTOCOL.md',
    'server/ARCHITECTURE.md',
    'server/database/README.md',
    'kafka/README.md',
  ]) {
    for (const link of all(read(file), /\]\((?!https?:|#)([^)#]+)/g)) {
      t.ok(readdirSync(join(root, file, '..', link, '..')).includes(link.split('/').at(-1)!), `${file}: ${link}`)
    }
  }
})
