import { Client } from '@stomp/stompjs'
import { Inbox } from './inbox.ts'
import { sign } from './session.ts'
import type { World } from './session.ts'

const LONG = 86_400_000

/** A reader that is @stomp/stompjs as it comes: it connects again by itself, and resumes by a header of its SUBSCRIBE. */
export class StompjsReader {
  readonly inbox: Inbox
  /** Resolves when it is subscribed for the first time. */
  readonly subscribed: Promise<void>
  readonly #client: Client

  constructor(world: World, name: string, room: string) {
    this.inbox = new Inbox(world, name, room)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.subscribed = promise
    const client = new Client({
      reconnectDelay: 200,
      connectionTimeout: 6_000,
      heartbeatIncoming: 2_000,
      heartbeatOutgoing: 2_000,
      discardWebsocketOnCommFailure: true,
      beforeConnect: async () => {
        const { jwt } = await sign({ sub: name, rooms: { read: [room] } }, Date.now() + LONG)
        client.brokerURL = `ws://localhost:${world.random.pick(world.nodes()).port}/ws`
        client.connectHeaders = { Authorization: `Bearer ${jwt}` }
      },
      onConnect: () => {
        const { last } = this.inbox
        if (last !== undefined) world.tally.add('resumed')
        client.watchForReceipt('subscribed', ({ headers }) => {
          this.inbox.recovered(new Map(Object.entries(headers)))
          resolve()
        })
        client.subscribe(
          `/topic/${room}`,
          ({ headers, binaryBody }) => this.inbox.receive(new Map(Object.entries(headers)), Buffer.from(binaryBody)),
          { receipt: 'subscribed', ...(last !== undefined && { after: last }) },
        )
      },
      onStompError: ({ headers }) => world.failed(headers['code'], headers['message']),
    })
    this.#client = client
    client.activate()
  }

  /** Ends the connection, wherever it is. */
  cutAfter(): void {
    this.#client.forceDisconnect()
  }

  async stop(): Promise<void> {
    await this.#client.deactivate({ force: true })
  }
}
