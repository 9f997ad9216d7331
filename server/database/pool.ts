/** What PostgreSQL and PGlite both are to the rest of this folder. */

export interface Answer {
  /** `SELECT`, `COMMIT`, … */
  readonly command: string
  readonly rowCount: number | null
  readonly rows: Record<string, unknown>[]
}

export interface Client {
  /** Without parameters `text` may be several statements. Rejects with the database's own errors. */
  query(text: string, parameters?: readonly unknown[]): Promise<Answer>
  /** Gives it back; `broken`: nobody is to use it again. */
  release(broken?: boolean): void
}

export interface Pool {
  /** What a log line calls it: never with a password. */
  readonly name: string
  /** What to do when it is away. */
  readonly advice: string
  connect(): Promise<Client>
  /**
   * A connection beside the pool: for migrations, and for finding out whether it answers.
   * @param timeout how long a statement may take, ms; absent: as long as it does
   */
  connectAlone(timeout?: number): Promise<Client>
  /** Waits for what is under way. */
  end(): Promise<void>
}
