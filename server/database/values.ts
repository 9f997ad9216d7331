import pg from 'pg'
import { sql, type RawBuilder } from 'kysely'

const INT8 = 20
const BYTEA = 17
export const TIMESTAMPTZ = 1184

type Parser = (text: string) => unknown

/** A Date, or a number for what is infinite. */
const parseTime = pg.types.getTypeParser(TIMESTAMPTZ) as (text: string) => Date | number

/** How values are read, by the number of their SQL type, where that is not as pg does it: on both kinds of database alike. */
export const parsers: Readonly<Record<number, Parser>> = {
  [INT8]: BigInt,
  [TIMESTAMPTZ]: text => Number(parseTime(text)),
  [BYTEA]: pg.types.getTypeParser(BYTEA) as Parser,
}

/** The end of the year 9999, epoch ms: what comes after it nobody means. */
export const LAST_TIME = 253_402_300_799_999

/** A point in time (epoch ms) as SQL takes it. */
export const at = (ms: number): RawBuilder<number> => sql<number>`${new Date(ms)}::timestamptz`

/**
 * Many rows in one parameter, as something to select from; `columns` with their SQL types, such as `id text, at timestamptz`. A
 * bigint is written as text. The planner is told how many there are: otherwise it may rather read a whole table for a few.
 */
export const rowsOf = (rows: readonly object[], columns: string): RawBuilder<unknown> => sql`(
  select * from json_to_recordset(${JSON.stringify(rows)}::json) as rows (${sql.raw(columns)}) limit ${rows.length}::int
)`
