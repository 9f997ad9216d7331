import type { Credentials } from '../ports/access.ts'
import { chooseVersion, type Frame } from '../stomp/frame.ts'
import { negotiate } from '../stomp/heartbeat.ts'
import { DONE, type FrameHandler } from './connection.ts'

/** CONNECT, STOMP: agrees on version and heart-beat, finds out who it is, answers CONNECTED. */
export const connect: FrameHandler = async (connection, frame) => {
  const version = chooseVersion(frame.headers.get('accept-version'))
  // 1.0 has no heart-beats: there it is a header like any other.
  const offered = version === '1.0' ? undefined : frame.headers.get('heart-beat')
  const heartBeat = negotiate(offered, connection.around.config.HEART_BEAT)
  const credentials = { ...credentialsOf(frame), address: connection.address }
  const identity = await connection.around.access.authenticate(credentials)
  connection.login({ version, identity, heartBeat })
  return DONE
}

/** The credentials in a frame's headers; `Authorization` in any case, as HTTP clients write it. */
export const credentialsOf = (frame: Frame): Credentials => {
  const login = frame.headers.get('login')
  const passcode = frame.headers.get('passcode')
  const token = bearerToken(frame)
  return {
    ...(login === undefined ? {} : { login }),
    ...(passcode === undefined ? {} : { passcode }),
    ...(token === undefined ? {} : { token }),
  }
}

const bearerToken = (frame: Frame): string | undefined => {
  for (const [name, value] of frame.headers) {
    if (name.toLowerCase() === 'authorization') return /^bearer +(\S+)$/i.exec(value)?.[1] ?? ''
  }
  return undefined
}
