import { Type, type Static, type TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { fail } from '../errors.ts'
import { canBeKept, Time } from './fields.ts'

/** How many there are in a page at most, and where nothing is said. */
const MOST = 100
const STANDARD = 50

/** The query of every list. */
export const PageQuery = Type.Object({
  cursor: Type.Optional(
    Type.String({ maxLength: 1024, description: 'The `next` of the page before; none: the first page' }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: MOST, default: STANDARD, description: 'Entries a page, at most' }),
})
export type PageQuery = Static<typeof PageQuery>

/** The schema of a page of `item`s. */
export const PageOf = <Item extends TSchema>(item: Item) =>
  Type.Object({
    items: Type.Array(item),
    next: Type.Optional(Type.String({ description: 'The `cursor` of the next page; none: this is the last' })),
  })

/** What is asked of a list: so many rows at most, and one more to see that it goes on, after the one at this place. */
export interface Part<Place> {
  readonly after: Place | undefined
  readonly limit: number
}

export interface Page<Item> {
  items: Item[]
  next?: string
}

/** The place in a list that goes by time: when it was, and its id. */
export const TimePlace = Type.Tuple([Time(), Type.String()])

/**
 * How a list is cut into pages. A cursor says which list it is of and the place of the last entry that was shown (what the
 * list is ordered by), so pages neither repeat nor leave out what stays while others come and go.
 */
export class Paging<Place extends TSchema> {
  readonly #list: string
  readonly #place: Place

  /** `list`: a name that no other list has. */
  constructor(list: string, place: Place) {
    this.#list = list
    this.#place = place
  }

  /** The place after which the page begins; undefined: at the start. Throws BAD_REQUEST. */
  after({ cursor }: Pick<PageQuery, 'cursor'>): Static<Place> | undefined {
    if (cursor === undefined) return undefined
    const read = parse(cursor)
    const isOurs = Array.isArray(read) && read.length === 2 && read[0] === this.#list && canBeKept(read)
    if (!isOurs || !Check(this.#place, read[1])) throw fail('BAD_REQUEST', 'the cursor is not one of this list')
    return read[1]
  }

  /** The page of `rows`, of which one more than `limit` was asked for. */
  page<Row, Item>(
    rows: readonly Row[],
    { limit }: Pick<PageQuery, 'limit'>,
    show: (row: Row) => Item,
    placeOf: (row: Row) => Static<Place>,
  ): Page<Item> {
    const items = rows.slice(0, limit).map(show)
    const last = rows[limit - 1]
    if (rows.length <= limit || last === undefined) return { items }
    return { items, next: Buffer.from(JSON.stringify([this.#list, placeOf(last)])).toString('base64url') }
  }
}

const parse = (cursor: string): unknown => {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}
