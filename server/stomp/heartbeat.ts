import { fail } from '../errors.ts'

/** The longest interval, in ms: twice of it still fits a timer, and nobody waits eleven days for a sign of life. */
const LONGEST = 1_000_000_000

export interface HeartBeat {
  /** The server sends something at least every so many ms. 0: it need not. */
  readonly send: number
  /** The client promised to send something at least every so many ms, its delays on the way not counted. 0: nothing. */
  readonly receive: number
  /** The value of CONNECTED's `heart-beat` header. */
  readonly header: string
}

/**
 * What a client's `heart-beat` header (`<can send every>,<wants every>`, ms; absent: `0,0`) and a server that offers
 * `server` ms both ways (0: none) agree on. Throws BAD_HEADER.
 */
export const negotiate = (offered: string | undefined, server: number): HeartBeat => {
  const parts = /^(\d+),(\d+)$/.exec(offered ?? '0,0')
  if (parts === null)
    throw fail('BAD_HEADER', 'heart-beat takes two whole numbers of milliseconds, such as 10000,10000')
  return {
    send: agree(server, Number(parts[2])),
    receive: agree(server, Number(parts[1])),
    header: `${server},${server}`,
  }
}

const agree = (one: number, other: number): number =>
  one === 0 || other === 0 ? 0 : Math.min(Math.max(one, other), LONGEST)
