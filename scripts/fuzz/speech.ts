import type { Edit, SendingAct } from './acts.ts'
import type { Scene } from './client.ts'
import type { Version } from './client-stream.ts'
import type { ExpectedConnection } from './connection.ts'
import type { Room } from './room.ts'
import { encode } from './wire.ts'

type Headers = readonly (readonly [string, string | undefined])[]

/** What a client says: acts as the bytes of frames, in the words of its version. */
export class Speech {
  readonly #scene: Scene
  readonly #version: Version
  #expected!: ExpectedConnection

  constructor(scene: Scene, version: Version) {
    this.#scene = scene
    this.#version = version
  }

  /** What `act` comes to on a connection in the state that `expected` is in; undefined: nothing to do. */
  bytesOf(act: SendingAct, expected: ExpectedConnection): Buffer | undefined {
    this.#expected = expected
    return this.#bytesOf(act)
  }

  /** A SEND whose RECEIPT shows that all before it to `room` has been done. */
  sync(room: Room): Buffer {
    return this.#frame(
      'SEND',
      [['destination', room.destination], ['receipt', this.#receipt('')], this.#mark()],
      'sync',
    )
  }

  #bytesOf(act: SendingAct): Buffer | undefined {
    switch (act.kind) {
      case 'send':
        return this.#sendBytes(act)
      case 'subscribe':
        return this.#subscribeBytes(act)
      case 'unsubscribe':
        return this.#unsubscribeBytes(act)
      case 'ack':
        return this.#ackBytes(act)
      case 'begin':
      case 'commit':
      case 'abort': {
        const open = this.#expected.transactions.has(act.transaction)
        // Mostly what makes sense; the rest ends the connection.
        if ((act.kind === 'begin') === open && this.#scene.number() % 40 !== 0) return undefined
        if (act.kind === 'begin' && this.#expected.transactions.size >= this.#scene.limits.transactions)
          return undefined
        return this.#frame(
          act.kind.toUpperCase(),
          [['transaction', act.transaction], ...this.#asked(act)],
          '',
          act.crLf,
        )
      }
      case 'disconnect':
        return this.#frame('DISCONNECT', this.#asked(act), '', act.crLf)
      case 'bytes':
        return Buffer.from(act.bytes.replaceAll('%room%', this.#scene.rooms[0]!.destination), 'latin1')
      case 'mutated': {
        const bytes = this.#bytesOf(act.act)
        return bytes && edited(bytes, act.at, act.edit)
      }
    }
  }

  #sendBytes(act: SendingAct & { kind: 'send' }): Buffer {
    const open = act.transaction !== undefined && this.#expected.transactions.has(act.transaction)
    const body = Buffer.from(act.body, 'latin1')
    const headers: Headers = [
      ['destination', this.#scene.rooms[act.room]!.destination],
      ['transaction', open ? act.transaction : undefined],
      ['idempotency-key', act.key],
      ['content-length', act.length || act.body.includes('\0') ? String(body.length) : undefined],
      ...act.headers,
      ...this.#asked(act),
      this.#mark(),
    ]
    return this.#frame('SEND', headers, body, act.crLf)
  }

  #subscribeBytes(act: SendingAct & { kind: 'subscribe' }): Buffer | undefined {
    const { rooms, limits } = this.#scene
    const room = rooms[act.room]
    const destination = room?.destination ?? '/user/queue/session'
    const id = act.id === undefined ? (this.#version === '1.0' ? undefined : 'none') : this.#sayable(act.id)
    const { subscriptions, queue } = this.#expected
    const key = id ?? destination
    if ((subscriptions.has(key) || queue.has(key)) && this.#scene.number() % 30 !== 0) return undefined
    if (subscriptions.size + queue.size >= limits.subscriptions && this.#scene.number() % 30 !== 0) return undefined
    const { from } = act
    const ids = room?.entries ?? []
    const epoch = ids[0]?.id.split('-')[0] ?? 'none'
    const after =
      typeof from !== 'object'
        ? undefined
        : 'after' in from
          ? ids[from.after % ids.length]?.id
          : 'beyond' in from
            ? from.beyond.replace('%epoch%', epoch)
            : undefined
    const headers: Headers = [
      ['id', id],
      ['destination', destination],
      ['ack', room ? act.ack : undefined],
      ['window', act.window === undefined ? undefined : String(act.window)],
      ['last', typeof from === 'object' && 'last' in from ? String(from.last) : undefined],
      ['after', after],
      ...this.#asked(act),
    ]
    return this.#frame('SUBSCRIBE', headers, '', act.crLf)
  }

  #unsubscribeBytes(act: SendingAct & { kind: 'unsubscribe' }): Buffer | undefined {
    const { subscriptions, queue } = this.#expected
    const keys = [...subscriptions.keys(), ...queue]
    if (keys.length === 0) return undefined
    const key = keys[act.pick % keys.length]!
    const id = subscriptions.get(key)?.options.id ?? (queue.has(key) && key !== '/user/queue/session' ? key : undefined)
    const place: Headers = id === undefined ? [['destination', key]] : [['id', id]]
    // With a RECEIPT it is clear which messages are of this subscription, and which of a later one of its id.
    return this.#frame('UNSUBSCRIBE', [...place, ['receipt', this.#receipt(act.receipt ?? '')]], '', act.crLf)
  }

  #ackBytes(act: SendingAct & { kind: 'ack' }): Buffer | undefined {
    const waiting = [...this.#expected.subscriptions.values()].flatMap(each =>
      Array.from(each.unacked, index => [each, index] as const),
    )
    if (waiting.length === 0) return undefined
    const [{ options }, index] = waiting[act.pick % waiting.length]!
    const message = options.room.entries[index]!.id
    const open = act.transaction !== undefined && this.#expected.transactions.has(act.transaction)
    const place: Headers =
      this.#version === '1.2'
        ? [['id', `${message}@${options.id ?? ''}`]]
        : [
            ['message-id', message],
            ['subscription', options.id ?? (this.#version === '1.0' ? undefined : '')],
          ]
    const headers: Headers = [...place, ['transaction', open ? act.transaction : undefined], ...this.#asked(act)]
    return this.#frame(act.nack ? 'NACK' : 'ACK', headers, '', act.crLf)
  }

  #asked({ receipt }: { receipt: string | undefined }): Headers {
    return receipt === undefined ? [] : [['receipt', this.#receipt(receipt)]]
  }

  #receipt(text: string): string {
    return `${this.#sayable(text)}#${this.#scene.number()}`
  }

  #mark(): readonly [string, string] {
    return ['n', String(this.#scene.number())]
  }

  #frame(command: string, headers: Headers, body: Buffer | string = '', crLf = false): Buffer {
    const eol = crLf && this.#version === '1.2' ? '\r\n' : '\n'
    let head = command + eol
    for (const [name, value] of headers) {
      if (value !== undefined)
        head += `${encode(this.#sayable(name), this.#version)}:${encode(this.#sayable(value), this.#version)}${eol}`
    }
    return Buffer.concat([Buffer.from(head + eol), Buffer.from(body), Buffer.from([0])])
  }

  /** What the version lets a client say; now and then all of it, whatever comes of it. */
  #sayable(text: string): string {
    if (this.#version === '1.2' || !/[\r\n]/.test(text) || this.#scene.number() % 20 === 0) return text
    return this.#version === '1.1' ? text.replaceAll('\r', '') : text.replaceAll(/[\r\n]/g, '')
  }
}

const edited = (bytes: Buffer, at: number, edit: Edit): Buffer => {
  const place = at % bytes.length
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)]
  if ('insert' in edit) return Buffer.concat([before, Buffer.from(edit.insert, 'latin1'), after])
  if ('remove' in edit) return Buffer.concat([before, after.subarray(edit.remove)])
  if ('cut' in edit) return before
  const flipped = Buffer.from(bytes)
  flipped[place]! ^= 1 << edit.flip
  return flipped
}
