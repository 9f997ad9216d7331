/**
 * The tables as they are, drawn: `node server/database/testkit/erd.ts` puts it into README.md, from a database that the
 * migrations have just made.
 */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { silent } from '../../testkit/database.ts'
import { openDatabase, type Db } from '../database.ts'

const README = join(import.meta.dirname, '../README.md')
const BEGIN = '```mermaid\n'
const END = '```\n'

interface Column {
  readonly table: string
  readonly name: string
  readonly type: string
  readonly nullable: boolean
  /** Of its own: not with others. */
  readonly unique: boolean
  readonly primary: boolean
  /** The table that it refers to. */
  readonly refers: string | null
}

const columnsOf = async (db: Db): Promise<readonly Column[]> => {
  const { rows } = await sql<Column>`
    select c.relname as "table", a.attname as name, format_type(a.atttypid, null) as type, not a.attnotnull as nullable,
      exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p' and a.attnum = any (k.conkey)) as "primary",
      exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'u' and k.conkey = array[a.attnum]) as "unique",
      (select f.confrelid::regclass::text from pg_constraint f
        where f.conrelid = c.oid and f.contype = 'f' and f.conkey = array[a.attnum]) as refers
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname <> 'hoofbeat_migrations'
    order by c.relname collate "C", a.attnum`.execute(db)
  return rows
}

const line = ({ name, type, nullable, unique, primary, refers }: Column): string => {
  const keys = [primary && 'PK', refers !== null && 'FK', unique && 'UK'].filter(Boolean).join(', ')
  return ['   ', type.replaceAll(' ', '_'), name, keys, nullable && '"or null"'].filter(Boolean).join(' ')
}

/** The tables of a database as Mermaid draws them. */
export const erd = async (db: Db): Promise<string> => {
  const columns = await columnsOf(db)
  const tables = Map.groupBy(columns, ({ table }) => table)
  const boxes = [...tables].map(([table, columns]) => `  ${table} {\n${columns.map(line).join('\n')}\n  }\n`)
  const lines = columns
    .filter(({ refers }) => refers !== null)
    .map(({ table, name, refers, nullable }) => `  ${refers} ${nullable ? '|o' : '||'}--o{ ${table} : ${name}\n`)
  return `erDiagram\n${boxes.join('')}${lines.join('')}`
}

/** README.md with what stands in it, and with `drawn` in its place. */
export const drawnIn = async (drawn: string): Promise<{ readonly is: string; readonly shouldBe: string }> => {
  const is = await readFile(README, 'utf8')
  const from = is.indexOf(BEGIN) + BEGIN.length
  return { is, shouldBe: is.slice(0, from) + drawn + is.slice(is.indexOf(END, from)) }
}

if (import.meta.main) {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-erd-'))
  const { db, close } = await openDatabase({ DATA_DIR: folder, DATABASE_POOL: 1, DATABASE_TIMEOUT: 5_000 }, silent)
  await writeFile(README, (await drawnIn(await erd(db))).shouldBe)
  await close()
  await rm(folder, { recursive: true })
}
