import { decodeProtectedHeader } from 'jose'
import t from 'tap'
import { at } from '../database/database.ts'
import { silent, testDatabase } from '../testkit/database.ts'
import { startNode, until } from '../testkit/node.ts'
import { Probe, wire } from '../testkit/probe.ts'
import { call, PASSWORD, person, productEnv, type Door, type Json } from '../testkit/product.ts'
import { Keys } from './keys.ts'
import { derive } from './secret.ts'
import { ACCESS_FOR, signAccess } from './tokens.ts'

t.setTimeout(60_000)
const DAY = 86_400_000
const MINUTE = 60_000

/** Nodes on one PostgreSQL. */
const database = await testDatabase(t, 'postgres')
const { db } = database
const env = { ...productEnv, ...database.env }
const [one, two] = [await startNode(t, env), await startNode(t, env)]
const keys = new Keys({ db, sealing: derive(env.SESSION_SECRET).sealing, logger: silent, now: Date.now })

const kidOf = (token: string): string => decodeProtectedHeader(token).kid!
const signIn = async (door: Door, name: string): Promise<Json> =>
  (await call(door, 'POST', '/api/session', { body: { name, password: PASSWORD, keep: 'body' } })).body
const renew = (probe: Probe, token: string): void =>
  probe.send('SEND', { destination: '/session/renew', receipt: 'r' }, token)

wire(t, '[S-21] a connection goes on past the end of its token by a fresh one of its session', async (t, transport) => {
  const ann = await person(one, 'ann')
  const signed = await signIn(one, ann.name)
  const { session } = signed as { readonly session: string }
  // In whole seconds, and one of them may be over when it is used.
  const passcode = (await signAccess(keys, { user: ann.id, session }, Date.now() - ACCESS_FOR + 3_000)).token
  const witness = await Probe.connect(t, transport, two, { passcode })
  const lasting = await Probe.connect(t, transport, two, { passcode })
  const { body } = await call(one, 'POST', '/api/session/refresh', { body: { refreshToken: signed['refreshToken'] } })
  renew(lasting, String(body['accessToken']))
  await lasting.next('RECEIPT')
  t.match((await witness.error()).headers, { code: 'TOKEN_EXPIRED' })
  await lasting.settled()
  renew(lasting, passcode)
  t.match((await lasting.error()).headers, { code: 'TOKEN_EXPIRED' }, 'not by one that is over')
  const late = await Probe.open(t, transport, one)
  late.send('CONNECT', { 'accept-version': '1.2', passcode })
  t.match((await late.error()).headers, { code: 'TOKEN_EXPIRED' })
})

wire(
  t,
  '[S-21] nothing else renews: an ended session, another one, another user, no token of ours',
  async (t, transport) => {
    const ann = await person(one, 'ann')
    const ended = await ann.again(one)
    await ann.does(two, 'DELETE', `/sessions/${ended.session}`)
    const refused: readonly (readonly [token: string, code: string])[] = [
      [ended.token, 'SESSION_ENDED'],
      [(await ann.again(two)).token, 'BAD_CREDENTIALS'],
      [(await person(one, 'bob')).token, 'BAD_CREDENTIALS'],
      [String((await signIn(one, ann.name))['refreshToken']), 'BAD_CREDENTIALS'],
      ['', 'BAD_CREDENTIALS'],
    ]
    for (const [token, code] of refused) {
      const probe = await ann.connect(t, transport, two)
      renew(probe, token)
      t.match((await probe.error()).headers, { code }, code)
    }
    const probe = await ann.connect(t, transport, two)
    await ann.does(one, 'DELETE', '/session')
    // Before this node knows, it may yet be taken: then it ends all the same.
    renew(probe, ann.token)
    t.match((await probe.error()).headers, { code: 'SESSION_ENDED' })
  },
)

void t.test('a new key: tokens of the old one hold on every node, those of the new one too', async t => {
  const ann = await person(one, 'ann')
  t.equal(kidOf(ann.token), kidOf((await ann.again(two)).token))
  await db
    .updateTable('signing_keys')
    .set({ created_at: at(Date.now() - 31 * DAY) })
    .execute()
  const making = await startNode(t, env)
  t.equal(kidOf((await ann.again(making)).token), kidOf(ann.token), 'the new one is published first')
  const published = async (door: Door): Promise<string[]> => {
    const { body } = await call(door, 'GET', '/.well-known/jwks.json')
    return (body['keys'] as readonly { kid: string }[]).map(({ kid }) => kid)
  }
  const kids = await published(making)
  t.equal(kids.length, 2)
  const fresh = kids.find(kid => kid !== kidOf(ann.token))!
  await db
    .updateTable('signing_keys')
    .set({ created_at: at(Date.now() - 16 * MINUTE) })
    .where('id', '=', fresh)
    .execute()
  const later = await startNode(t, env)
  const renewed = await ann.again(later)
  t.equal(kidOf(renewed.token), fresh)
  t.equal((await ann.tries(later, 'GET', '/me')).status, 200, 'the old one, where the new one signs')
  // It looks for keys that it does not know every few seconds at most.
  await until(async () => (await renewed.tries(one, 'GET', '/me')).status === 200)
  t.same((await published(one)).toSorted(), kids.toSorted())
  for (const node of [one, later]) {
    for (const who of [ann, renewed]) {
      const probe = await who.connect(t, 'tcp', node)
      await probe.settled()
      probe.end()
    }
  }
})
