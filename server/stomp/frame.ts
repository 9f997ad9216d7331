export type Version = '1.0' | '1.1' | '1.2'

/** One STOMP frame. Of repeated headers the map holds the first. `body` may share memory with what was received. */
export interface Frame {
  readonly command: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export const EMPTY: Buffer = Buffer.alloc(0)
