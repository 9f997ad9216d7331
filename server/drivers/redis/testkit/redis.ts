import { createClient } from 'redis'
import type { LocalRedis } from '../../../../scripts/services/redis.ts'

/** A logger, what it was told, and when. */
export const recording = () => {
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const write = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`)
    for (const look of waiting) look()
  }
  const logger = { debug: write, info: write, warn: write, error: write }
  const count = (text: string): number => lines.filter(line => line.startsWith(text)).length
  /** Resolves when a line has been logged so often. */
  const logged = (text: string, times = 1): Promise<void> =>
    new Promise(resolve => {
      const look = (): void => {
        if (count(text) >= times && waiting.delete(look)) resolve()
      }
      waiting.add(look)
      look()
    })
  return { logger, lines, count, logged }
}

/** Asks a Redis for something, as its operator does. */
export const operate = async ({ url }: Pick<LocalRedis, 'url'>, ...command: string[]): Promise<unknown> => {
  const client = createClient({ url })
  await client.connect()
  try {
    return await client.sendCommand(command)
  } finally {
    client.destroy()
  }
}
