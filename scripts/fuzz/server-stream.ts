/** A frame that the server sent: its header lines as they are on the wire. */
export interface ServerFrame {
  readonly command: string
  readonly lines: readonly string[]
  readonly body: Buffer
  /** The kind of its WebSocket message; undefined on TCP. */
  readonly text?: boolean
}

/** A frame at the start of `bytes` and what follows it; undefined where it is not complete. Throws where it is none. */
export const readServer = (
  bytes: Buffer,
  text?: boolean,
): { readonly frame: ServerFrame; readonly rest: Buffer } | undefined => {
  const end = bytes.indexOf('\n\n')
  if (end < 0) return undefined
  const [command = '', ...lines] = bytes.toString('utf8', 0, end).split('\n')
  if (!/^(CONNECTED|MESSAGE|RECEIPT|ERROR)$/.test(command)) throw new Error(`no frame of a server: ${command}`)
  for (const line of lines) if (line.indexOf(':') < 1) throw new Error(`no header line in ${command}: ${line}`)
  const lengths = lines.filter(line => line.startsWith('content-length:'))
  if (lengths.length > 1) throw new Error(`${command} with two content-lengths`)
  const from = end + 2
  const to = from + Number(lengths[0]?.slice('content-length:'.length) ?? 0)
  if (to >= bytes.length) return undefined
  if (bytes[to] !== 0) throw new Error(`${command} without NUL at its end`)
  const frame = { command, lines, body: bytes.subarray(from, to), ...(text === undefined ? {} : { text }) }
  return { frame, rest: bytes.subarray(to + 1) }
}

/** The value of the header line `name`, as it is on the wire. Throws where there are two. */
export const valueOf = ({ command, lines }: ServerFrame, name: string): string | undefined => {
  const found = lines.filter(line => line.startsWith(`${name}:`))
  if (found.length > 1) throw new Error(`${command} says ${name} twice`)
  return found[0]?.slice(name.length + 1)
}
