import type { Frame } from './frames.ts'
import { bodyOf } from './message.ts'
import { Session, sign } from './session.ts'
import type { World } from './session.ts'

const LONG = 86_400_000

/** Someone who may read and write another room, and tries again and again to read and write this one. */
export class Stranger {
  readonly #session: Session
  #tries = 0

  constructor({ world, name, room }: { world: World; name: string; room: string }) {
    const sender = world.ledger.enter({ name, barred: true })
    const destination = `/topic/${room}`
    this.#session = new Session(world, {
      token: async () => {
        await new Promise(resolve => setTimeout(resolve, world.random.integer(500, 2_000)))
        return sign({ sub: name, rooms: { read: ['elsewhere'], send: ['elsewhere'] } }, Date.now() + LONG)
      },
      connected: peer => {
        if (++this.#tries % 2 === 0) peer.send('SUBSCRIBE', { id: 'sub-0', destination, receipt: 'let in' })
        else peer.send('SEND', { destination, receipt: 'let in' }, bodyOf({ sender, n: this.#tries }))
      },
      frame: ({ command, headers }: Frame) => {
        if (command === 'ERROR') return
        world.ledger.broke(
          'forbidden',
          `${name}, which may not use ${room}, got a ${command}: ${[...headers].join(' ')}`,
        )
      },
      lost: () => undefined,
    })
  }

  async stop(): Promise<void> {
    await this.#session.stop()
  }
}
