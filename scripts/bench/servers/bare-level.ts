import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { bytesAtMost, encode } from '../../../server/drivers/level/record.ts'
import { recordRow } from '../../../server/drivers/level/rows.ts'
import { BODY_BYTES } from '../load/frames.ts'

export const SENDER = 'publisher'

export interface BareLevel {
  /** Writes as many records, and resolves when they are durable, with the offset of the first. */
  write(count: number): Promise<bigint>
  /** Closes it and removes its folder. */
  close(): Promise<void>
}

/** LevelDB by itself, in a folder of its own: the same rows as the embedded log writes, synced. */
export const openBareLevel = async (): Promise<BareLevel> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-bench-'))
  const settings = { keyEncoding: 'buffer', valueEncoding: 'buffer', writeBufferSize: 8 * 1024 * 1024 } as const
  const level = new ClassicLevel<Buffer, Buffer>(folder, settings)
  await level.open()
  const life = Buffer.alloc(8, 1)
  const record = { sender: SENDER, headers: new Map<string, string>(), body: Buffer.alloc(BODY_BYTES, 'hoofbeat ') }
  const into = Buffer.alloc(bytesAtMost(record))
  const value = into.subarray(0, encode(record, Date.now(), into))
  let offset = 0n
  return {
    write: async count => {
      const first = offset
      const batch = level.batch()
      for (let i = 0; i < count; i++) batch.put(recordRow(life, offset++), value)
      await batch.write({ sync: true })
      return first
    },
    close: async () => {
      await level.close()
      await rm(folder, { recursive: true })
    },
  }
}
