/**
 * A node on a disk that fills up: `node scripts/chaos/full-disk.ts <folder> <seed>`, in a mount namespace of its own, so
 * that nothing stays mounted, whatever happens: see `inNamespace`.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ended, launch, runScript, ScriptError } from '../launch.ts'
import { runFullDisk } from './embedded.ts'

const MiB = 1024 * 1024

/** Runs this file where it may mount a small disk; resolves with its exit code. Who is not root becomes it within. */
export const inNamespace = (folder: string, seed: string): Promise<number> => {
  const asRoot = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user']
  return ended(launch('unshare', [...asRoot, process.execPath, import.meta.filename, folder, seed]))
}

if (import.meta.main) {
  await runScript(async () => {
    const [folder, seed = ''] = process.argv.slice(2)
    if (!folder) throw new ScriptError('Usage: node scripts/chaos/full-disk.ts <folder> <seed>')
    const disk = join(folder, 'disk')
    await mkdir(disk, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=28m', 'tmpfs', disk])
    try {
      const ballast = join(disk, 'ballast')
      await writeFile(ballast, Buffer.alloc(16 * MiB))
      const print = (line: string): void => void process.stdout.write(`${line}\n`)
      const { held } = await runFullDisk({ seed, folder, data: join(disk, 'data'), print }, () => rm(ballast))
      return held ? 0 : 1
    } finally {
      execFileSync('umount', ['--lazy', disk])
    }
  })
}
