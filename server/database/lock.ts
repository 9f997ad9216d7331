import { mkdir, realpath } from 'node:fs/promises'
import { ClassicLevel } from 'classic-level'

/** The folder cannot be used. The message is one line for whoever starts the node. */
export class FolderError extends Error {
  override readonly name = 'FolderError'
}

/** Held by this process: LevelDB gives up the lock that keeps other processes out when its own is asked for it again. */
const held = new Set<string>()

/**
 * Keeps every other process from `folder` until the returned function is called or this process ends, however it ends.
 * Node.js has no way to the lock that a kernel keeps on a file; LevelDB has, so an empty one lies beside the folder. (A
 * file with a process's id would be taken for an old one from within another container.) Rejects with FolderError.
 */
export const lockFolder = async (folder: string): Promise<() => Promise<void>> => {
  const path = `${folder}.lock`
  const inUse = `${folder} is in use by another node: stop that one, or give this one a folder of its own`
  await mkdir(path, { recursive: true })
  const real = await realpath(path)
  if (held.has(real)) throw new FolderError(inUse)
  held.add(real)
  const lock = new ClassicLevel(real)
  try {
    await lock.open()
  } catch (error) {
    held.delete(real)
    // classic-level says why in the cause.
    const { code, message } = (error as { cause: NodeJS.ErrnoException }).cause
    throw new FolderError(code === 'LEVEL_LOCKED' ? inUse : `${path}: ${message}`, { cause: error })
  }
  return async () => {
    await lock.close()
    held.delete(real)
  }
}
