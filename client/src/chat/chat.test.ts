import t from 'tap'
import { bodies, byToken, counting, joined, online, open, person, startNode, tokenFor, when } from '../testkit/chat.ts'
import { Chat } from './chat.ts'

t.setTimeout(60_000)

t.test('two chats see each other write, read and send; one that leaves hears nothing more', async t => {
  const node = await startNode(t)
  const [ann, bob] = [open(t, node, 'ann'), open(t, node, 'bob')]
  for (const chat of [ann, bob]) {
    chat.join('r')
    await joined(chat, 'r')
  }
  const end = ann.listen('r')
  const leave = bob.listen('r')
  // What is sent after a room's own RECEIPT finds the subscription before it there.
  ann.send('r', 'are you there?')
  await when(bob, () => bodies(bob, 'r').includes('are you there?'))
  bob.sayTyping('r')
  bob.sayTyping('r')
  await when(ann, () => ann.company('r').typing.includes('bob'))
  t.same(bob.company('r').typing, [], 'not to oneself')
  bob.sayRead('r', bob.room('r')!.messages.at(-1)!.id)
  await when(ann, () => ann.company('r').reads.get('bob') === ann.room('r')?.messages.at(-1)?.id)
  bob.send('r', 'I am')
  await when(ann, () => bodies(ann, 'r').includes('I am'))
  t.same(ann.company('r').typing, [], 'it has been sent')
  end()
  t.same([...ann.company('r').reads], [])
  bob.sayRead('r', 'e-1')
  bob.send('r', 'barrier')
  await when(ann, () => bodies(ann, 'r').includes('barrier'))
  t.same([...ann.company('r').reads], [])
  leave()
})

t.test('rooms and what is heard in them come back with a new connection', async t => {
  const node = await startNode(t)
  const [ann, bob] = [open(t, node, 'ann'), open(t, node, 'bob')]
  for (const chat of [ann, bob]) {
    chat.join('r')
    await joined(chat, 'r')
    chat.listen('r')
  }
  ann.stop()
  bob.send('r', 'while you were away')
  await when(bob, () => bodies(bob, 'r').length === 1)
  ann.start()
  await when(ann, () => bodies(ann, 'r').includes('while you were away'))
  ann.send('r', 'back')
  await when(bob, () => bodies(bob, 'r').includes('back'))
  bob.sayTyping('r')
  await when(ann, () => ann.company('r').typing.includes('bob'))
})

t.test('who may not say something fleeting in a room is told once, and says no more of it there', async t => {
  const node = await startNode(t, byToken)
  const rooms = { read: ['r', 'other'], send: ['other'] }
  const ann = open(t, node, 'ann', { credentials: { token: await tokenFor(600_000, { rooms }) } })
  const bob = open(t, node, 'bob', { credentials: { token: await tokenFor(600_000, { sub: 'bob' }) } })
  const times = counting(ann)
  for (const room of ['r', 'other']) {
    for (const chat of [ann, bob]) {
      chat.join(room)
      await joined(chat, room)
    }
    ann.listen(room)
  }
  bob.send('r', 'hello')
  await when(ann, () => bodies(ann, 'r').length === 1)
  ann.sayTyping('r')
  await when(ann, () => times() === 2)
  ann.listen('r')
  ann.sayTyping('r')
  ann.sayRead('r', ann.room('r')!.messages[0]!.id)
  ann.send('other', 'barrier')
  await when(ann, () => ann.room('other')?.outgoing.length === 0)
  t.equal(times(), 2, 'once online again, it stays so')
  t.equal(ann.room('r')?.is, 'joined', 'it can be read as before')

  const listening = bob.listen('other')
  ann.sayTyping('other')
  await when(bob, () => bob.company('other').typing.includes('ann'))
  listening()
})

t.test('in a room that refuses us nothing is said, and when it takes us again all is heard', async t => {
  const node = await startNode(t, byToken)
  const rooms = { read: ['other'], send: ['other'] }
  const ann = open(t, node, 'ann', { credentials: { token: await tokenFor(600_000, { rooms }) } })
  const bob = open(t, node, 'bob', { credentials: { token: await tokenFor(600_000, { sub: 'bob' }) } })
  const times = counting(ann)
  ann.join('other')
  await joined(ann, 'other')
  ann.join('r')
  ann.listen('r')
  await when(ann, () => ann.room('r')?.is === 'refused')
  await online(ann)
  ann.sayTyping('r')
  ann.sayRead('r', 'e-1')
  ann.send('other', 'barrier')
  await when(ann, () => ann.room('other')?.outgoing.length === 0)
  t.equal(times(), 2)

  bob.join('r')
  await joined(bob, 'r')
  bob.listen('r')
  ann.signIn({ token: await tokenFor(600_000) })
  ann.join('r')
  await joined(ann, 'r')
  bob.send('r', 'welcome')
  await when(ann, () => bodies(ann, 'r').includes('welcome'))
  await when(bob, () => bob.company('r').reads.get('ann') === 'e-1')
  bob.sayTyping('r')
  await when(ann, () => ann.company('r').typing.includes('bob'))
})

t.test('what is fleeting is heard whenever the room was joined, whatever came first', async t => {
  const node = await startNode(t)
  const bob = open(t, node, 'bob')
  const ann = new Chat({ url: node, user: 'ann', credentials: { login: 'ann' } })
  t.teardown(() => ann.stop())
  // As on a page that begins in a room: what is to be heard is known before the connection and before the list of rooms.
  ann.listen('r')
  ann.start()
  await online(ann)
  for (const chat of [ann, bob]) {
    chat.join('r')
    await joined(chat, 'r')
  }
  bob.listen('r')
  const hears = async (text: string): Promise<void> => {
    // What is sent after a room's own RECEIPT finds the subscription before it there.
    ann.send('r', text)
    await when(bob, () => bodies(bob, 'r').includes(text))
    bob.sayTyping('r')
    await when(ann, () => ann.company('r').typing.includes('bob'))
    bob.send('r', `${text} yourself`)
    await when(ann, () => ann.company('r').typing.length === 0)
  }
  await hears('hello')
  ann.leave('r')
  ann.join('r')
  await joined(ann, 'r')
  await hears('back')
})

t.test('what a room does not take fails alone, until it is sent again or discarded', async t => {
  const node = await startNode(t, byToken)
  const rooms = { read: ['r', 'other'], send: ['other'] }
  const ann = open(t, node, 'ann', { credentials: { token: await tokenFor(600_000, { rooms }) } })
  for (const room of ['r', 'other']) ann.join(room)
  ann.send('r', 'not for you to say')
  ann.send('other', 'but here')
  await when(ann, () => bodies(ann, 'other').length === 1 && ann.unsent === 1)
  const [failed] = ann.room('r')!.outgoing
  t.match(failed, { body: 'not for you to say', failed: { code: 'FORBIDDEN' } })
  ann.signIn({ token: await tokenFor(600_000) })
  await online(ann)
  ann.retry(failed!.key)
  await when(ann, () => bodies(ann, 'r').length === 1)
  t.equal(ann.unsent, 0)
  ann.send('r', 'x'.repeat(1024 * 1024 + 1))
  const [large] = ann.room('r')!.outgoing
  t.equal(large?.failed?.code, 'FRAME_TOO_LARGE')
  ann.retry(large!.key)
  t.equal(ann.unsent, 1, 'it will not be smaller')
  ann.discard(large!.key)
  t.equal(ann.unsent, 0)
})

t.test('who is removed from a room says nothing more in it, stays connected, and comes back when they may', async t => {
  const secrets = { SESSION_SECRET: 'thirty-two bytes that nobody knows of' }
  const node = await startNode(t, { ACCESS: 'accounts', ...secrets })
  const [ann, bob] = [await person(node, 'ann'), await person(node, 'bob')]
  const { id: room } = await ann.does('POST', '/rooms', { name: 'Riders', visibility: 'public' })
  const join = (): Promise<unknown> => bob.does('PUT', `/rooms/${room}/membership`)
  await join()
  await ann.does('PATCH', `/rooms/${room}`, { visibility: 'private' })
  const chat = open(t, node, bob.id, { credentials: { token: bob.token }, events: true })
  const times = counting(chat)
  chat.join(room)
  chat.listen(room)
  await joined(chat, room)
  chat.send(room, 'hello')
  await when(chat, () => chat.unsent === 0)
  await ann.does('DELETE', `/rooms/${room}/members/${bob.id}`)
  await when(chat, () => chat.room(room)?.problem?.code === 'REMOVED')
  chat.sayTyping(room)
  chat.sayRead(room, chat.room(room)!.messages.at(-1)!.id)
  const { id: other } = await bob.does('POST', '/rooms', { name: 'Barrier', visibility: 'private' })
  chat.join(other)
  chat.send(other, 'barrier')
  await when(chat, () => bodies(chat, other).includes('barrier') && chat.unsent === 0)
  t.equal(times(), 1, 'it is still the same connection')

  await ann.does('PATCH', `/rooms/${room}`, { visibility: 'public' })
  await join()
  chat.join(room)
  await joined(chat, room)
  chat.send(room, 'again')
  await when(chat, () => bodies(chat, room).includes('again'))
  t.equal(times(), 1)
})
