import pg from 'pg'
import t from 'tap'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { call, makeRoom, person, removal, said, sharedServices, system, to } from '../testkit/product.ts'

t.setTimeout(180_000)

const { brokers, env } = await sharedServices(t)
const startProduct = async (): Promise<FleetNode> => {
  const [product] = await startFleet(t, 1, brokers, { ...env, ROLES: 'product' })
  return product!
}
const [bridges, first] = await Promise.all([startFleet(t, 2, brokers, { ...env, ROLES: 'bridge' }), startProduct()])
const [one, two] = bridges as [FleetNode, FleetNode]

/** Has SQL outside of the nodes. */
const operate = async (text: string): Promise<void> => {
  const client = new pg.Client({ connectionString: env['DATABASE_URL'] })
  await client.connect()
  await client.query(text)
  await client.end()
}

void t.test('a process does what its roles say, and its health says which those are', async t => {
  const ready = { status: 200, body: { status: 'ready', checks: { log: 'ok', database: 'ok' } } }
  t.match(await call(one, 'GET', '/health/ready'), { ...ready, body: { ...ready.body, roles: ['bridge'] } })
  t.match(await call(first, 'GET', '/health/ready'), { ...ready, body: { ...ready.body, roles: ['product'] } })
  for (const path of ['/', '/api/me', '/api/users', '/docs/json', '/.well-known/jwks.json']) {
    t.equal((await call(one, 'GET', path)).status, 404, `no ${path} on a bridge`)
  }
  t.equal((await call(first, 'GET', '/api/me')).status, 401)
  t.equal((await call(first, 'GET', '/ws')).status, 404, 'no WebSocket on the product')
  t.equal(first.stompPort, 0, 'and no STOMP')
})

void t.test('without the product those connected chat on; when it is back nothing was lost', async t => {
  const [ann, bob] = [await person(first, 'ann'), await person(first, 'bob')]
  const room = await makeRoom(first, ann, 'private', [bob])
  const [atAnns, atBobs] = [await ann.connect(t, 'websocket', one), await bob.connect(t, 'tcp', two)]
  for (const probe of [atAnns, atBobs]) await probe.request('SUBSCRIBE', { id: 'r', last: 100, ...to(room) })
  await atBobs.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await atAnns.request('SEND', to(room), 'together')
  for (const probe of [atAnns, atBobs]) t.same(await said(probe, 'together'), ['together'])

  // What is decided from now on is kept from the log until the product has gone.
  await operate(`create function held() returns trigger language plpgsql as
    $$ begin new.claimed_until := 'infinity'; return new; end $$;
    create trigger held before insert on outbox for each row execute function held()`)
  await ann.does(first, 'PATCH', `/rooms/${room}`, { name: 'renamed' })
  await first.kill()
  await operate('drop trigger held on outbox; update outbox set claimed_until = null')

  await atAnns.request('SEND', to(room), 'without it')
  await atBobs.request('SEND', to(room), 'still here')
  for (const probe of [atAnns, atBobs]) t.same(await said(probe, 'still here'), ['without it', 'still here'])
  const late = await ann.connect(t, 'tcp', two)
  await late.request('SUBSCRIBE', { id: 'late', last: 100, ...to(room) })
  t.same(await said(late, 'still here'), ['together', 'without it', 'still here'], 'whoever has a token comes in')

  const second = await startProduct()
  for (const probe of [atAnns, atBobs, late])
    t.same(await system(probe, 'renamed'), { event: 'renamed', name: 'renamed' })
  t.match(await bob.does(second, 'GET', `/rooms/${room}`), { name: 'renamed' })
  await ann.does(second, 'DELETE', `/rooms/${room}/members/${bob.id}`)
  t.same(await system(atAnns, 'left'), { event: 'left', user: bob.id })
  t.equal(await removal(atBobs), room)
  atBobs.send('SEND', { ...to(room), receipt: 'no' })
  t.match((await atBobs.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': 'no' })
})
