import pg from 'pg'
import type { Answer, Client, Pool } from './pool.ts'
import { parsers } from './values.ts'

export interface PostgresOptions {
  readonly url: string
  /** Connections at most. */
  readonly size: number
  /** How long a statement, and getting a connection, may take, ms. */
  readonly timeout: number
}

/** How long a transaction may do nothing before the server ends it, ms: whoever holds a lock may have been frozen. */
const IDLE_TRANSACTION = 5_000
/** After the server should have ended a statement by itself, ms. */
const ANSWER_LATE = 1_000

const nothing = (): void => undefined

const named = (url: string): string => {
  const { hostname, port, pathname, searchParams } = new URL(url)
  const host = hostname || (searchParams.get('host') ?? 'localhost')
  return `PostgreSQL ${decodeURIComponent(pathname.slice(1)) || '(the user’s own database)'} at ${host}:${port || searchParams.get('port') || '5432'}`
}

const answer = ({ command, rowCount, rows }: pg.QueryResult): Answer => ({ command, rowCount, rows })

class PostgresClient implements Client {
  readonly #client: pg.ClientBase
  readonly #release: (broken?: boolean) => void
  constructor(client: pg.ClientBase, release: (broken?: boolean) => void) {
    this.#client = client
    this.#release = release
  }

  async query(text: string, parameters?: readonly unknown[]): Promise<Answer> {
    return answer(await (parameters ? this.#client.query(text, [...parameters]) : this.#client.query(text)))
  }

  release(broken?: boolean): void {
    this.#release(broken)
  }
}

export const openPostgres = ({ url, size, timeout }: PostgresOptions): Pool => {
  const config: pg.ClientConfig = {
    connectionString: url,
    application_name: 'hoofbeat',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: timeout,
    types: { getTypeParser: (oid, format) => parsers[oid] ?? pg.types.getTypeParser(oid, format) },
  }
  const pool = new pg.Pool({
    ...config,
    max: size,
    idleTimeoutMillis: 60_000,
    statement_timeout: timeout,
    query_timeout: timeout + ANSWER_LATE,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION,
  })
  // Whoever waits for an answer is told by the answer. Without these an idle connection that breaks would end the node.
  pool.on('error', nothing)
  pool.on('connect', client => void client.on('error', nothing))
  return {
    name: named(url),
    advice: 'start it, or correct DATABASE_URL',
    connect: async () => {
      const client = await pool.connect()
      return new PostgresClient(client, broken => client.release(broken))
    },
    connectAlone: async limit => {
      const client = new pg.Client({ ...config, ...(limit !== undefined && { query_timeout: limit }) })
      client.on('error', nothing)
      await client.connect()
      return new PostgresClient(client, () => void client.end().catch(nothing))
    },
    end: () => pool.end(),
  }
}
