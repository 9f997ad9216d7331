import { createRequire } from 'node:module'
import type { Test } from 'tap'
import type { Target } from './probe.ts'

// stompit has no types; this is what the tests use of it.
interface Message {
  readString(encoding: 'utf8', done: (error: Error | null, text?: string) => void): void
}
export interface StompitClient {
  subscribe(headers: Record<string, string>, listener: (error: Error | null, message: Message) => void): void
  send(headers: Record<string, string>, options?: { onReceipt: () => void }): { end(body: string): void }
  ack(message: Message): void
  destroy(): void
}
interface Stompit {
  connect(options: object, done: (error: Error | null, client: StompitClient) => void): void
}
const stompit = createRequire(import.meta.url)('stompit') as Stompit

/** stompit's client, logged in over TCP. */
export const connectStompit = (t: Test, target: Target, login: string): Promise<StompitClient> =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: target.stompPort, connectHeaders: { login, 'accept-version': '1.2' } }
    stompit.connect(options, (error, client) => {
      if (error) return reject(error)
      t.teardown(() => client.destroy())
      resolve(client)
    })
  })

/** Subscribes and hands each message's text to `heard`, acknowledged. */
export const listen = (client: StompitClient, destination: string, heard: (text: string) => void): void => {
  client.subscribe({ destination, ack: 'client-individual' }, (error, message) => {
    if (error) return
    message.readString('utf8', (failure, text) => {
      if (failure) return
      client.ack(message)
      heard(text ?? '')
    })
  })
}

/** Sends a text and resolves with its RECEIPT. */
export const say = (client: StompitClient, destination: string, text: string): Promise<void> =>
  new Promise(resolve => client.send({ destination }, { onReceipt: resolve }).end(text))
