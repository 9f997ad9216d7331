import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
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

t.test('every error code is in the table of PROTOCOL.md with its HTTP status, and no other', async t => {
  const rows = read('server/PROTOCOL.md').matchAll(/^\| `([A-Z_]+)` \| (\d+) \|/gm)
  t.strictSame(
    Array.from(rows, ([, code, http]) => [code, Number(http)]).toSorted(),
    Object.entries(errors)
      .map(([code, { http }]) => [code, http])
      .toSorted(),
  )
})

t.test('every configuration key is in the table of the README, with its default, and no other', async t => {
  const rows = read('README.md').matchAll(/^\| `([A-Z_]+)` \|([^|]*)\|/gm)
  t.strictSame(
    Array.from(rows, ([, key, value]) => [key, value!.trim()]).toSorted(),
    Object.entries(keys)
      .map(([key, { fallback }]: [string, { fallback?: string }]) => [
        key,
        fallback === undefined ? '' : `\`${fallback}\``,
      ])
      .toSorted(),
  )
})

t.test('every target of the Makefile is in the README', async t => {
  const targets = all(read('Makefile'), /^([a-z-]+):.*##/gm)
  const said = new Set(all(read('README.md'), /\bmake ([a-z-]+)/g))
  t.same(
    targets.filter(target => !said.has(target)),
    [],
  )
})

/** The names that GitHub gives the headings of a document. */
const anchors = (text: string): string[] =>
  all(text, /^#+ (.*)$/gm).map(heading =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )

t.test('what the documents link to is there', async t => {
  for (const file of globSync(['*.md', '{client,kafka,scripts,server}/**/*.md'], {
    cwd: root,
    exclude: ['**/node_modules'],
  })) {
    for (const link of all(read(file), /\]\((?!https?:)([^)]+)\)/g)) {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? file : join(file, '..', path)
      t.ok(existsSync(join(root, target)), `${file}: ${link}`)
      if (anchor !== undefined) t.ok(anchors(read(target)).includes(anchor), `${file}: ${link}`)
    }
  }
})
