import t from 'tap'
import { hostCheck } from './hosts.ts'

const loopback = ['localhost', 'localhost:8080', '127.0.0.1', '127.1.2.3:80', '[::1]', '[::1]:8080', 'LocalHost']
const others = ['chat.example.org', 'chat.example.org:443', 'localhost.example.org', '10.0.0.1', '0.0.0.0']
const malformed = ['', 'a b', 'a/b', 'a?b', 'a#b', 'a@b', 'a\\b', 'x:y', '[::1']

void t.test('on loopback: loopback names, and those that are listed', async t => {
  const bare = hostCheck({ hosts: undefined, loopback: true })
  for (const host of loopback) t.equal(bare(host), true, host)
  for (const host of [...others, ...malformed]) t.equal(bare(host), false, host)
  const listed = hostCheck({ hosts: ['chat.example.org'], loopback: true })
  for (const host of [...loopback, 'chat.example.org', 'Chat.Example.org:443']) t.equal(listed(host), true, host)
  for (const host of ['evil.example.org', 'chat.example.org.evil.org', ...malformed]) t.equal(listed(host), false, host)
})

void t.test('elsewhere: any, or those alone that are listed', async t => {
  const bare = hostCheck({ hosts: undefined, loopback: false })
  for (const host of [...loopback, ...others]) t.equal(bare(host), true, host)
  for (const host of malformed) t.equal(bare(host), false, host)
  const listed = hostCheck({ hosts: ['chat.example.org', '[2001:db8::1]'], loopback: false })
  for (const host of ['chat.example.org', 'chat.example.org:8080', '[2001:db8::1]:80'])
    t.equal(listed(host), true, host)
  for (const host of [...loopback, 'evil.example.org', '10.0.0.1']) t.equal(listed(host), false, host)
})
