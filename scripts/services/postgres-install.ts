import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { exclusively, run, ServiceError } from './process.ts'

/** PostgreSQL's programs, and where the libraries are that this machine lacks for them. */
export interface Programs {
  readonly bin: string
  readonly env: Readonly<Record<string, string>>
}

const LEAST = 15
const INSTALL = 'install PostgreSQL 15 or newer (Debian: apt-get install -y postgresql)'
/** What the server needs of what Debian's packages ask for: neither their compiler for queries nor their Perl. */
const needed = /^(postgresql-\d+|postgresql-client-\d+|lib(?!llvm|.*-dev_|.*-perl_))/

const programsIn = (bin: string): boolean => ['postgres', 'initdb', 'pg_ctl'].every(name => existsSync(join(bin, name)))

/** Folders such as `<base>/15/bin`, the newest first. */
const versionsIn = async (base: string): Promise<string[]> =>
  (await readdir(base).catch(() => []))
    .filter(name => Number(name) >= LEAST)
    .toSorted((a, b) => Number(b) - Number(a))
    .map(name => join(base, name, 'bin'))
    .filter(programsIn)

const newEnough = async (bin: string): Promise<boolean> => {
  const { output } = await run(join(bin, 'postgres'), ['--version'], INSTALL)
  return Number(/(\d+)/.exec(output)?.[1]) >= LEAST
}

/** The PostgreSQL of this machine. */
const installed = async (): Promise<Programs | undefined> => {
  const [debian] = await versionsIn('/usr/lib/postgresql')
  if (debian) return { bin: debian, env: {} }
  for (const bin of (process.env['PATH'] ?? '').split(delimiter).filter(programsIn)) {
    if (await newEnough(bin)) return { bin, env: {} }
  }
  return undefined
}

const unpacked = async (folder: string): Promise<Programs | undefined> => {
  const [bin] = await versionsIn(join(folder, 'usr/lib/postgresql'))
  const [libraries] = await readdir(join(folder, 'usr/lib')).then(
    names => names.filter(name => name.endsWith('-linux-gnu')),
    () => [],
  )
  return bin && libraries ? { bin, env: { LD_LIBRARY_PATH: join(folder, 'usr/lib', libraries) } } : undefined
}

const apt = async (program: string, args: readonly string[]): Promise<string> => {
  const { code, output } = await run(program, args, INSTALL)
  if (code === 0) return output
  throw new ServiceError(`${program} failed: ${output.trimEnd().split('\n').at(-1)}; ${INSTALL}`)
}

/** Downloads Debian's packages and unpacks them. apt's own lists, in a folder of ours: nothing of the system's changes. */
const download = async (folder: string): Promise<void> => {
  const partial = `${folder}.partial`
  await rm(partial, { recursive: true, force: true })
  for (const name of ['lists/partial', 'cache/archives/partial', 'packages']) {
    await mkdir(join(partial, name), { recursive: true })
  }
  const own = [
    ['-o', `Dir::State::Lists=${join(partial, 'lists')}`],
    ['-o', `Dir::Cache=${join(partial, 'cache')}`],
    // Whoever apt would become may not be allowed into the folder.
    ['-o', 'APT::Sandbox::User='],
  ].flat()
  await apt('apt-get', [...own, '-qq', 'update'])
  const names = await apt('apt-cache', [...own, 'search', '--names-only', '^postgresql-[0-9]+$'])
  const version = Math.max(...Array.from(names.matchAll(/^postgresql-(\d+) /gm), ([, number]) => Number(number)))
  if (version < LEAST) throw new ServiceError(`Debian has no PostgreSQL ${LEAST} here: ${INSTALL}`)
  const wanted = [`postgresql-${version}`, `postgresql-client-${version}`, 'libpq5']
  const lists = ['install', '--reinstall', '--print-uris', '-qq', '--no-install-recommends', ...wanted]
  const uris = await apt('apt-get', [...own, ...lists])
  const packages = Array.from(uris.matchAll(/^'\S+' ((\S+?)_(\S+?)_\S+\.deb) /gm))
    .filter(([, file = '']) => needed.test(file))
    .map(([, , name]) => name!)
  const archives = join(partial, 'packages')
  await apt('sh', ['-c', 'cd "$0" && exec apt-get "$@"', archives, ...own, '-qq', 'download', ...packages])
  const root = join(partial, 'root')
  for (const file of await readdir(archives)) await apt('dpkg-deb', ['-x', join(archives, file), root])
  await rename(root, folder)
  await rm(partial, { recursive: true, force: true })
}

/** Unpacks PostgreSQL into `cache` unless it is there. May run in several processes at once. Rejects with ServiceError. */
export const unpackPostgres = async (cache: string): Promise<Programs> => {
  const folder = join(cache, 'debian')
  if (!existsSync(folder)) {
    await mkdir(cache, { recursive: true })
    await exclusively(`${folder}.lock`, async () => {
      if (!existsSync(folder)) await download(folder)
    })
  }
  const programs = await unpacked(folder)
  if (!programs) throw new ServiceError(`${folder} is not complete: remove it`)
  return programs
}

/** This machine's PostgreSQL, or Debian's, unpacked into `cache`. */
export const installPostgres = async (cache: string): Promise<Programs> =>
  (await installed()) ?? (await unpackPostgres(cache))
