import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { get, type RequestOptions } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { fail } from '../errors.ts'
import { selfSigned } from '../testkit/certificate.ts'
import { buildHttp, httpLimits, type HttpOptions } from './server.ts'

/** A listening server and what it logs. */
const serve = async (
  t: Test,
  options: Partial<HttpOptions> = {},
  routes: (app: FastifyInstance) => void = () => {},
) => {
  const lines: string[] = []
  const sink = new Writable({ write: (line, _encoding, done) => (lines.push(String(line)), done()) })
  const app = buildHttp({ config: {}, logger: pino({ level: 'trace' }, sink), ...options })
  routes(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => {
    app.server.closeAllConnections()
    return app.close()
  })
  const { port } = app.server.address() as AddressInfo
  return { app, port, lines, url: `http${options.tls ? 's' : ''}://127.0.0.1:${port}` }
}

/** Everything that comes until the server closes the connection. */
const talk = async (port: number, ...parts: string[]): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  for (const part of parts) socket.write(part)
  return untilClosed(socket)
}
const untilClosed = async (socket: Socket): Promise<string> => {
  let received = ''
  socket.on('data', chunk => (received += String(chunk)))
  socket.on('error', () => {})
  await new Promise(resolve => socket.on('close', resolve))
  return received
}

const security = {
  'content-security-policy':
    "default-src 'none';script-src 'self';style-src 'self';img-src 'self';connect-src 'self';base-uri 'none';" +
    "frame-ancestors 'none';form-action 'none';require-trusted-types-for 'script';trusted-types 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'permissions-policy':
    'camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), payment=(), serial=(), usb=()',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
}
const hasSecurity = (t: Test, answer: string): void => {
  for (const [name, value] of Object.entries(security)) t.ok(answer.includes(`\r\n${name}: ${value}\r\n`), name)
}
const problem = (status: number, title: string) => ({ type: 'about:blank', title, status })

void t.test('every answer has the security headers; errors are problems', async t => {
  const { url, lines } = await serve(t, {}, app => {
    app.get('/fine', async () => 'fine')
    app.get('/broken', async () => {
      throw new Error('the password of the database is hidden')
    })
    app.get('/refused', async () => {
      throw fail('FORBIDDEN', 'hidden')
    })
    app.get('/teapot', async () => {
      throw Object.assign(new Error('hidden'), { statusCode: 418 })
    })
    app.get('/odd', async () => {
      throw Object.assign(new Error('hidden'), { statusCode: 200 })
    })
    app.get('/odder', async () => {
      throw Object.assign(new Error('hidden'), { statusCode: 1000 })
    })
    app.get('/unnamed', async () => {
      throw Object.assign(new Error('hidden'), { statusCode: 499 })
    })
    app.get('/long/:name', async () => 'fine')
    app.post('/echo', (request, reply) => reply.send(request.body))
  })
  const cases: [method: string, path: string, status: number, title: string, body?: string][] = [
    ['GET', '/missing', 404, 'Not Found'],
    ['POST', '/fine', 404, 'Not Found'],
    ['GET', '/broken', 500, 'Internal Server Error'],
    ['GET', '/refused', 500, 'Internal Server Error'],
    ['GET', '/teapot', 418, "I'm a Teapot"],
    ['GET', '/odd', 500, 'Internal Server Error'],
    ['GET', '/odder', 500, 'Internal Server Error'],
    ['GET', '/unnamed', 499, 'Error'],
    ['GET', '/%zz', 400, 'Bad Request'],
    ['GET', `/long/${'x'.repeat(200)}`, 414, 'URI Too Long'],
    ['POST', '/echo', 400, 'Bad Request', '{'],
    ['POST', '/echo', 413, 'Payload Too Large', JSON.stringify('x'.repeat(httpLimits.bodyBytes))],
  ]
  for (const [method, path, status, title, body = null] of cases) {
    const headers = body === null ? {} : { 'content-type': 'application/json' }
    const response = await fetch(url + path, { method, body, headers })
    t.equal(response.status, status, path)
    t.equal(response.headers.get('content-type'), 'application/problem+json; charset=utf-8')
    t.same(await response.json(), problem(status, title))
    t.match(Object.fromEntries(response.headers), { ...security, 'cache-control': 'no-store' })
    t.notOk(response.headers.has('strict-transport-security'), 'not without TLS')
  }
  const fine = await fetch(`${url}/fine`)
  t.equal(await fine.text(), 'fine')
  t.match(Object.fromEntries(fine.headers), security)
  t.notOk(fine.headers.has('strict-transport-security'))
  const errors = lines
    .map(line => JSON.parse(line) as { level: number; route?: string })
    .filter(line => line.level >= 50)
  t.same(
    errors.map(({ route }) => route),
    ['/broken', '/refused', '/odd', '/odder'],
    'what is our fault is logged',
  )
})

void t.test('bodies up to the limit are taken', async t => {
  const { url } = await serve(t, {}, app => {
    app.post('/length', (request, reply) => reply.send({ length: (request.body as string).length }))
  })
  const length = httpLimits.bodyBytes - 2
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/length`, { method: 'POST', headers, body: JSON.stringify('x'.repeat(length)) })
  t.same(await response.json(), { length })
})

void t.test('what is no HTTP is answered and cut off', async t => {
  const { port } = await serve(t)
  const answer = await talk(port, 'CONNECT\naccept-version:1.2\n\n\0')
  t.match(answer, /^HTTP\/1.1 400 Bad Request\r\n/)
  t.match(answer, /\r\nconnection: close\r\n/)
  t.ok(answer.endsWith(`\r\n\r\n${JSON.stringify(problem(400, 'Bad Request'))}`))
  hasSecurity(t, answer)
})

void t.test('the head of a request has a largest size', async t => {
  const { port } = await serve(t, {}, app => void app.get('/', async () => 'fine'))
  const head = (size: number): string => {
    const start = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: '
    return `${start}${'x'.repeat(size - start.length - 4)}\r\n\r\n`
  }
  t.match(await talk(port, head(httpLimits.headerBytes - 100)), /^HTTP\/1.1 200 OK\r\n/)
  const answer = await talk(port, head(httpLimits.headerBytes + 100))
  t.match(answer, /^HTTP\/1.1 431 Request Header Fields Too Large\r\n/)
  hasSecurity(t, answer)
})

void t.test('whoever sends slowly is cut off', async t => {
  const limits = { ...httpLimits, headersTimeout: 100, requestTimeout: 100, checkInterval: 20 }
  const { port, app } = await serve(t, { limits }, app => void app.post('/', async () => 'fine'))
  const slow = [
    [],
    ['GET / HTT'],
    ['GET / HTTP/1.1\r\nhost: x\r\nx: '],
    ['POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n', '{'],
  ]
  for (const answer of await Promise.all(slow.map(parts => talk(port, ...parts)))) {
    t.match(answer, /^HTTP\/1.1 408 Request Timeout\r\n/)
    hasSecurity(t, answer)
  }
  t.equal(await new Promise(resolve => app.server.getConnections((_error, count) => resolve(count))), 0)
})

void t.test('whoever neither reads nor sends is cut off', async t => {
  const limits = { ...httpLimits, idleTimeout: 500 }
  const { port } = await serve(t, { limits }, app => {
    app.get('/', async (_request, reply) => {
      reply.raw.writeHead(200)
      reply.raw.write('the beginning of an answer without an end')
      return reply.hijack()
    })
  })
  t.match(await talk(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'), /the beginning of an answer/)
})

void t.test('with TLS: HTTPS and HSTS', async t => {
  const tls = selfSigned()
  const { port } = await serve(t, { tls }, app => void app.get('/', async () => 'fine'))
  const ask = async (path: string, options: RequestOptions = {}) => {
    const request = get({ host: '127.0.0.1', port, path, ca: tls.cert, agent: false, ...options })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return { status: response.statusCode, headers: response.headers, body: await text(response) }
  }
  const hsts = { 'strict-transport-security': 'max-age=31536000' }
  t.match(await ask('/'), { status: 200, body: 'fine', headers: { ...security, ...hsts } })
  t.match(await ask('/missing'), { status: 404, headers: { ...security, ...hsts } })
  t.match(await ask('/%zz'), { status: 400, headers: { ...security, ...hsts } })
  t.equal(await talk(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'), '', 'no TLS at all')
  const garbage = connectTls({ port, host: '127.0.0.1', ca: tls.cert })
  garbage.write('CONNECT\n\n\0')
  t.match(await untilClosed(garbage), /^HTTP\/1.1 400 Bad Request\r\n[^]*\r\nstrict-transport-security: /)
  const old = ask('/', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' })
  await t.rejects(old, 'TLS before 1.2')
})

void t.test('whoever does not come to the end of the handshake is cut off', async t => {
  const limits = { ...httpLimits, handshakeTimeout: 50 }
  const { port } = await serve(t, { tls: selfSigned(), limits })
  t.equal(await talk(port), '')
  t.equal(await talk(port, '\x16\x03\x01'), '', 'the beginning of one')
})

void t.test("a proxy's word counts if the proxy is trusted", async t => {
  const ip = (app: FastifyInstance): void => void app.get('/', (request, reply) => reply.send(request.ip))
  const headers = { 'x-forwarded-for': '203.0.113.9' }
  const address = async (trusted?: string[]): Promise<string> => {
    const { url } = await serve(t, { config: trusted ? { TRUST_PROXY: trusted } : {} }, ip)
    return (await fetch(url, { headers })).text()
  }
  t.equal(await address(), '127.0.0.1')
  t.equal(await address(['10.0.0.0/8', '127.0.0.1']), '203.0.113.9')
  t.equal(await address(['127.0.0.0/8']), '203.0.113.9')
  t.equal(await address(['10.0.0.0/8', '::1']), '127.0.0.1')
})

void t.test('no request is logged, and nothing of its URL', async t => {
  const { url, port, lines } = await serve(t, {}, app => {
    app.get('/broken/:name', async () => {
      throw new Error('no')
    })
  })
  const paths = ['/?token=hidden', '/missing?token=hidden', '/broken/hidden?token=hidden', '/%zz?token=hidden']
  for (const path of paths) await (await fetch(url + path, { headers: { authorization: 'Bearer hidden' } })).text()
  await talk(port, 'GET /?token=hidden HTTP/9\r\nauthorization: Bearer hidden\r\n\r\n')
  t.notMatch(lines.join(''), /hidden/)
  t.same(
    lines.map(line => (JSON.parse(line) as { msg: string }).msg),
    ['an HTTP request failed'],
    'nor that it listens: the node says that',
  )
})

void t.test('while it closes, requests on connections that are open are still answered', async t => {
  const asked = Promise.withResolvers<void>()
  const go = Promise.withResolvers<string>()
  const closing = Promise.withResolvers<void>()
  const { app, port } = await serve(t, {}, app => {
    app.addHook('preClose', async () => closing.resolve())
    app.get('/slow', async () => {
      asked.resolve()
      return go.promise
    })
    app.get('/health', async () => {
      go.resolve('slow')
      return 'still here'
    })
  })
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
  const answers = untilClosed(socket)
  await asked.promise
  const closed = app.close()
  await closing.promise
  socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
  await closed
  t.match(await answers, /200 OK[^]*\r\nslowHTTP\/1.1 200 OK[^]*\r\nconnection: close\r\n[^]*still here$/i)
})
