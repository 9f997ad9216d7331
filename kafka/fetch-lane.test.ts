import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

t.setTimeout(60_000)

for (const on of ['tail', 'join']) {
  void t.test(`${on}: a mistake in whoever is told is not taken for a broker that does not answer`, async t => {
    const script = `
      import { FetchLane } from ${JSON.stringify(join(import.meta.dirname, 'fetch-lane.ts'))}
      const answer = id => ({ errorCode: 0, sessionId: 1, rooms: [{ id, errorCode: 0, end: 1n, batches: Buffer.alloc(0) }] })
      const room = (id, answered) => ({ id, position: 0n, answered })
      const mistaken = room('mistaken', () => { throw new Error('a mistake') })
      const lane = new FetchLane({
        fetch: async on => {
          if (on === ${JSON.stringify(on)}) return answer('mistaken')
          // The long poll is out, and whoever comes now is a newcomer.
          setImmediate(() => lane.add(mistaken))
          await new Promise(resolve => setTimeout(resolve, 600_000))
        },
        broken: async () => process.exit(7),
      })
      lane.add(${on === 'tail' ? 'mistaken' : "room('patient', () => {})"})
    `
    const process = spawn(globalThis.process.execPath, ['--input-type=module', '--eval', script])
    const said = text(process.stderr)
    const [code] = (await once(process, 'exit')) as [number]
    t.equal(code, 1)
    t.match(await said, /Error: a mistake/)
  })
}
