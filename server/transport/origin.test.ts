import t from 'tap'
import { isLoopback, originCheck } from './origin.ts'

t.test('[S-03] a page of this host may connect, whatever the spelling', async t => {
  const check = originCheck({ origins: [], loopback: false })
  const same: [string, string][] = [
    ['https://chat.example.org', 'chat.example.org'],
    ['https://chat.example.org', 'chat.example.org:443'],
    ['http://chat.example.org', 'chat.example.org:80'],
    ['https://Chat.Example.ORG', 'chat.example.org'],
    ['http://chat.example.org:8080', 'CHAT.example.org:8080'],
    ['http://[2001:db8::1]:8080', '[2001:db8::1]:8080'],
    ['http://10.0.0.7', '10.0.0.7'],
  ]
  for (const [origin, host] of same) t.equal(check(origin, host), true, `${origin} ${host}`)
  const other: [string, string][] = [
    ['https://chat.example.org', 'chat.example.org:80'],
    ['https://chat.example.org:8443', 'chat.example.org'],
    ['https://evil.example', 'chat.example.org'],
    ['https://chat.example.org.evil.example', 'chat.example.org'],
    ['https://evil.example/chat.example.org', 'chat.example.org'],
    ['null', 'null'],
    ['', ''],
    ['https://chat.example.org', ''],
    ['https://chat.example.org', 'a b'],
    ['chat.example.org', 'chat.example.org'],
  ]
  for (const [origin, host] of other) t.equal(check(origin, host), false, `${origin} ${host}`)
})

t.test('[S-03] a node that only this machine can reach is asked for by a loopback name', async t => {
  const check = originCheck({ origins: [], loopback: true })
  for (const host of ['localhost:8080', '127.0.0.1:8080', '127.1.2.3', '[::1]:8080', 'LOCALHOST'])
    t.equal(check(`http://${host}`, host), true, host)
  for (const host of [
    'rebound.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '192.168.0.1:8080',
    '[::2]',
  ])
    t.equal(check(`http://${host}`, host), false, host)
})

t.test('[S-03] or by a name that a proxy before it has', async t => {
  const check = originCheck({ origins: [], hosts: ['chat.example.org'], loopback: true })
  for (const host of ['chat.example.org', 'CHAT.example.org', 'localhost:8080'])
    t.equal(check(`https://${host}`, host), true, host)
  t.equal(check('https://evil.example', 'chat.example.org'), false, 'another page')
  for (const host of ['evil.example', 'chat.example.org.evil.example', 'x.chat.example.org'])
    t.equal(check(`https://${host}`, host), false, host)
})

t.test('[S-03] what ORIGINS lists may connect, asked for by any name', async t => {
  const check = originCheck({ origins: ['https://Chat.example.org'], loopback: true })
  t.equal(check('https://chat.example.org', 'anything'), true)
  t.equal(check('https://CHAT.example.org', ''), true)
  t.equal(check('http://chat.example.org', 'chat.example.org'), false)
  t.equal(originCheck({ origins: ['*'], loopback: true })('null', ''), true)
})

t.test('addresses that only this machine can reach', async t => {
  for (const address of ['127.0.0.1', '127.255.0.9', '::1', '[::1]', 'localhost'])
    t.equal(isLoopback(address), true, address)
  for (const address of ['0.0.0.0', '::', '10.0.0.1', 'example.org', '']) t.equal(isLoopback(address), false, address)
})
