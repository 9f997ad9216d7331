import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { pageRoutes } from './page.ts'
import { buildHttp } from './server.ts'

const script = 'console.log("the page")\n'.repeat(100)

/** A node whose page is in the folder `root`, as Vite would have built it (if `build` was called). */
const setUp = async (t: Test) => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-'))
  const root = join(folder, 'dist')
  const app = buildHttp({ config: {}, logger: pino({ level: 'silent' }) })
  pageRoutes(app, { root, access: 'accounts' })
  app.get('/health/live', async () => 'live')
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const address = { host: '127.0.0.1', port, agent: false as const }
  t.teardown(async () => {
    await app.close()
    await rm(folder, { recursive: true })
  })
  /** As `fetch` does not: with any path, and with these headers alone. */
  const ask = async (path: string, headers: OutgoingHttpHeaders = {}) => {
    const [response] = (await once(get({ ...address, path, headers }), 'response')) as [IncomingMessage]
    const chunks = await response.toArray()
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: Buffer.concat(chunks).toString('latin1'),
    }
  }
  const build = async (): Promise<void> => {
    await mkdir(join(root, 'assets'), { recursive: true })
    await writeFile(join(root, 'index.html'), '<!doctype html><title>Hoofbeat</title>')
    await writeFile(join(root, 'manifest.webmanifest'), '{}')
    await writeFile(join(root, '.hidden'), 'hidden')
    await writeFile(join(root, 'assets/index-a1b2c3.js'), script)
    await writeFile(join(root, 'assets/index-a1b2c3.js.gz'), gzipSync(script))
    await writeFile(join(folder, 'outside.txt'), 'hidden')
  }
  return { ask, url, build }
}

void t.test('the page is asked for again each time, what it loads is kept for a year', async t => {
  const { url, build } = await setUp(t)
  await build()
  for (const path of ['/', '/index.html', '/?room=general']) {
    const page = await fetch(url + path)
    t.equal(page.status, 200)
    t.equal(await page.text(), '<!doctype html><title>Hoofbeat</title>')
    t.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    t.equal(page.headers.get('cache-control'), 'no-cache')
    t.match(page.headers.get('content-security-policy'), /^default-src 'none';/)
  }
  const manifest = await fetch(`${url}/manifest.webmanifest`)
  t.equal(manifest.headers.get('cache-control'), 'no-cache')
  const asset = await fetch(`${url}/assets/index-a1b2c3.js`)
  t.equal(await asset.text(), script)
  t.match(asset.headers.get('content-type'), /javascript/)
  t.equal(asset.headers.get('cache-control'), 'public, max-age=31536000, immutable')
})

void t.test('an unchanged page is not sent again', async t => {
  const { ask, build } = await setUp(t)
  await build()
  const { etag } = (await ask('/')).headers
  t.match(await ask('/', { 'if-none-match': etag }), {
    status: 304,
    body: '',
    headers: { 'cache-control': 'no-cache' },
  })
  t.match(await ask('/', { 'if-none-match': 'W/"other"' }), { status: 200 })
})

void t.test('what is there compressed is sent compressed to who takes it', async t => {
  const { ask, build } = await setUp(t)
  await build()
  const small = await ask('/assets/index-a1b2c3.js', { 'accept-encoding': 'gzip, br' })
  t.match(small.headers, {
    'content-encoding': 'gzip',
    'content-type': /javascript/,
    'cache-control': 'public, max-age=31536000, immutable',
  })
  t.equal(small.body, gzipSync(script).toString('latin1'))
  const plain = await ask('/assets/index-a1b2c3.js')
  t.notOk(plain.headers['content-encoding'])
  t.equal(plain.body, script)
  t.match(plain.headers.vary, /accept-encoding/i)
})

void t.test('HEAD is answered as GET is, without the body', async t => {
  const { url, build } = await setUp(t)
  await build()
  const page = await fetch(url, { method: 'HEAD' })
  t.equal(page.status, 200)
  t.equal(page.headers.get('content-length'), '38')
})

void t.test('nothing else of the machine is served', async t => {
  const { ask, build } = await setUp(t)
  await build()
  const paths = [
    '/missing',
    '/assets',
    '/assets/',
    '/assets/missing.js',
    '/.hidden',
    '/../outside.txt',
    '/..%2foutside.txt',
    '/%2e%2e/outside.txt',
    '/assets/../../outside.txt',
    '/assets/..%2f..%2foutside.txt',
    '//outside.txt',
    '/index.html%00.js',
    '/..\\outside.txt',
  ]
  for (const path of paths) {
    const answer = await ask(path)
    t.ok([400, 403, 404].includes(answer.status), `${path} ${answer.status}`)
    t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8')
    t.notMatch(answer.body, /hidden/)
  }
  t.equal((await ask('/health/live')).body, 'live', 'other routes come first')
})

t.test('a browser at an address that is none gets the page, which says so', async t => {
  const { ask, build } = await setUp(t)
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
  t.equal((await ask('/nothing', browser)).status, 503)
  await build()
  for (const path of ['/nothing', '/rooms/7', '/assets/']) {
    const { status, headers, body } = await ask(path, browser)
    t.equal(status, 404, path)
    t.equal(headers['content-type'], 'text/html; charset=utf-8')
    t.equal(headers['cache-control'], 'no-cache')
    t.equal(body, (await ask('/')).body)
  }
  for (const path of ['/missing.js', '/..%2foutside.txt', '/.hidden']) {
    t.equal((await ask(path, browser)).headers['content-type'], 'application/problem+json; charset=utf-8', path)
  }
  t.equal((await ask('/health/live', browser)).body, 'live')
})

void t.test('a page that is not built says how to build it, and is there when it is', async t => {
  const { url, build } = await setUp(t)
  const hint = await fetch(url)
  t.equal(hint.status, 503)
  t.equal(hint.headers.get('content-type'), 'text/plain; charset=utf-8')
  t.equal(hint.headers.get('cache-control'), 'no-store')
  t.match(await hint.text(), /npm run build --workspace client/)
  t.equal((await fetch(`${url}/index.html`)).status, 404)
  t.equal((await fetch(`${url}/health/live`)).status, 200)
  await build()
  t.equal((await fetch(url)).status, 200)
})

t.test('the page is told by which door people come in', async t => {
  const { ask } = await setUp(t)
  const { status, headers, body } = await ask('/access')
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'no-store')
  t.same(JSON.parse(body), { access: 'accounts' })
})
