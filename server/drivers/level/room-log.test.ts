import t, { type Test } from 'tap'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../ports/logger.ts'
import { roomLogContract } from '../../ports/room-log.contract.ts'
import { openLevelLog } from './room-log.ts'

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

const folderFor = async (t: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-level-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

void t.test('contract', async t => {
  const folder = await folderFor(t)
  roomLogContract(
    t,
    ({ roomsMax = 100_000, idempotencyWindow = 600_000, now = Date.now } = {}) =>
      openLevelLog({ folder, roomsMax, idempotencyWindow, now, logger: silent }),
    { keys: true },
  )
})
