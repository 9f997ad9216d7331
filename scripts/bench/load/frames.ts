/** Bytes of every body that is sent for measuring. */
export const BODY_BYTES = 200

/** A body is `s<stream> n<number> t<µs>` in digits of these widths, and a filler that every receiver compares. */
const STREAM = { at: 1, digits: 5 }
const NUMBER = { at: 8, digits: 10 }
const TIME = { at: 20, digits: 15 }
const FILLER_AT = 35
const FILLER = Buffer.alloc(BODY_BYTES - FILLER_AT, ' hoofbeat')
const ZERO = 48

const blankBody = (): Buffer => {
  const body = Buffer.alloc(BODY_BYTES, '0')
  body.write('s', STREAM.at - 1)
  body.write(' n', NUMBER.at - 2)
  body.write(' t', TIME.at - 2)
  FILLER.copy(body, FILLER_AT)
  return body
}

const readDigits = (buffer: Buffer, from: number, digits: number): number => {
  let value = 0
  for (let i = from; i < from + digits; i++) value = value * 10 + buffer[i]! - ZERO
  return value
}

/** What the body at `at` says: the stream it belongs to, its number in there, and when it was due, µs. */
export const readBody = (buffer: Buffer, at: number): { stream: number; number: number; time: number } => ({
  stream: readDigits(buffer, at + STREAM.at, STREAM.digits),
  number: readDigits(buffer, at + NUMBER.at, NUMBER.digits),
  time: readDigits(buffer, at + TIME.at, TIME.digits),
})

/** Whether the rest of the body at `at` is as it was sent. */
export const isWhole = (buffer: Buffer, at: number, end: number): boolean =>
  end - at === BODY_BYTES && buffer.compare(FILLER, 0, FILLER.length, at + FILLER_AT, end) === 0

/** A frame of STOMP as text. */
export const frame = (command: string, headers: Readonly<Record<string, string>>, body = ''): Buffer => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  return Buffer.from(`${command}\n${lines.join('')}\n${body}\0`)
}

const MASK = Buffer.from([0x5a, 0xc3, 0x3c, 0xa5])
const TEXT = 0x81
const MASKED = 0x80

/** `payload` as one masked WebSocket message, as a client has to send it. `opcode` with the FIN bit. */
export const masked = (payload: Buffer, opcode = TEXT): Buffer => {
  const short = payload.length < 126
  const head = Buffer.alloc(short ? 6 : 8)
  head[0] = opcode
  head[1] = MASKED | (short ? payload.length : 126)
  if (!short) head.writeUInt16BE(payload.length, 2)
  MASK.copy(head, head.length - 4)
  return Buffer.concat([head, payload.map((byte, i) => byte ^ MASK[i & 3]!)])
}

/** Makes the SEND frames of one stream: all bytes are ready but the digits that differ. */
export class Template {
  readonly #bytes: Buffer
  readonly #body: number
  readonly #payload: number
  readonly #masking: boolean

  /** `masking`: as WebSocket messages; otherwise bare. */
  constructor(stream: number, headers: Readonly<Record<string, string>>, masking: boolean) {
    const body = blankBody()
    body.write(String(stream).padStart(STREAM.digits, '0'), STREAM.at)
    const plain = frame('SEND', { ...headers, 'content-length': String(BODY_BYTES) }, body.toString('latin1'))
    this.#bytes = masking ? masked(plain) : plain
    this.#payload = this.#bytes.length - plain.length
    this.#body = this.#bytes.length - 1 - BODY_BYTES
    this.#masking = masking
  }

  get length(): number {
    return this.#bytes.length
  }

  /** Writes the frame with `number`, due at `time` (µs), at `at`; returns where it ends. */
  write(target: Buffer, at: number, number: number, time: number): number {
    target.set(this.#bytes, at)
    this.#digits(target, at, NUMBER, number)
    this.#digits(target, at, TIME, time)
    return at + this.#bytes.length
  }

  #digits(target: Buffer, at: number, field: typeof TIME, value: number): void {
    let rest = value
    for (let i = field.digits - 1; i >= 0; i--) {
      const place = this.#body + field.at + i
      const digit = ZERO + (rest % 10)
      target[at + place] = this.#masking ? digit ^ MASK[(place - this.#payload) & 3]! : digit
      rest = Math.floor(rest / 10)
    }
  }
}
