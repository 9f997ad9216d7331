import type { Test } from 'tap'
import type { Json, Person } from '../../testkit/product.ts'
import type { Probe, Received, Target } from '../../testkit/probe.ts'

export const typeOf = ({ headers }: Received): string => headers['type'] ?? ''
export const bodyOf = ({ body }: Received): Json => JSON.parse(body.toString()) as Json

/** What the next event of a type says. */
export const nextEvent = async (probe: Probe, type: string): Promise<Json> =>
  bodyOf(await probe.take(frame => typeOf(frame) === type, type))

/** Who is told what concerns them, once they have been told who is there. */
export const watching = async (t: Test, who: Person, node: Target): Promise<Probe> => {
  const probe = await who.connect(t, 'websocket', node)
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await probe.take(frame => typeOf(frame) === 'presence' && 'known' in bodyOf(frame), 'who is there')
  return probe
}

/** Who came or went next, and whether they are there now. */
export const change = async (probe: Probe): Promise<unknown[]> => {
  const { user, online } = await nextEvent(probe, 'presence')
  return [user, online]
}

/** Who came and went, until `asks`, who has not asked yet, asks `whose` probe it is for friendship. */
export const changesUntilAsked = async (
  probe: Probe,
  whose: Person,
  asks: Person,
  node: Target,
): Promise<unknown[]> => {
  await asks.does(node, 'PUT', `/friend-requests/${whose.id}`)
  const seen: unknown[] = []
  for (;;) {
    const frame = await probe.take(each => ['presence', 'friendship'].includes(typeOf(each)), 'event')
    const { user, online } = bodyOf(frame)
    if (typeOf(frame) === 'presence') seen.push([user, online])
    else if (user === asks.id) return seen
  }
}
