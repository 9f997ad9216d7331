import { existsSync, globSync } from 'node:fs'
import { capture, root, ScriptError } from './launch.ts'
import { findChromium } from './services/chromium.ts'

interface Need {
  readonly what: string
  /** Debian's names for it; the first that the machine knows is taken. */
  readonly packages: readonly string[]
  readonly there: () => Promise<boolean>
  /** Only nice to have: installed by root, never asked for. */
  readonly nice?: true
}

const output = (program: string, args: readonly string[]): Promise<string> =>
  capture(program, args).then(
    result => (result.code === 0 ? result.output : ''),
    () => '',
  )

const needs: readonly Need[] = [
  {
    what: 'Java 17 or newer',
    packages: ['openjdk-17-jre-headless', 'openjdk-21-jre-headless', 'openjdk-25-jre-headless'],
    there: async () => Number(/version "(\d+)/.exec(await output('java', ['-version']))?.[1]) >= 17,
  },
  {
    what: 'Maven',
    packages: ['maven'],
    there: async () =>
      globSync('.cache/kafka/jars-*', { cwd: root }).some(name => !name.includes('.', 7)) ||
      (await output('mvn', ['-version'])) !== '',
  },
  {
    what: 'Redis',
    packages: ['redis-server'],
    there: async () => (await output('redis-server', ['--version'])) !== '',
  },
  { what: 'Chromium', packages: ['chromium'], there: async () => findChromium() !== undefined },
  {
    what: 'a Korean font',
    packages: ['fonts-noto-cjk'],
    nice: true,
    there: async () =>
      existsSync('/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc') ||
      (await output('fc-list', [':lang=ko'])) !== '',
  },
]

const known = async (names: readonly string[]): Promise<string> => {
  for (const name of names) if ((await output('apt-cache', ['show', name])) !== '') return name
  return names[0] ?? ''
}

const apt = async (...args: readonly string[]): Promise<void> => {
  const result = await capture('apt-get', ['-q', ...args], { env: { DEBIAN_FRONTEND: 'noninteractive' } })
  if (result.code !== 0) throw new ScriptError(`${result.output.trimEnd()}\napt-get ${args.join(' ')} failed`)
}

/** Installs the Debian packages that the tests need and that are missing; who is not root is told what to install. */
export const installPackages = async (): Promise<void> => {
  const there = await Promise.all(needs.map(need => need.there()))
  const root = process.getuid?.() === 0 && (await output('apt-get', ['--version'])) !== ''
  const missing = needs.filter((need, index) => !there[index] && (root || !need.nice))
  if (missing.length === 0) return
  const what = missing.map(need => need.what).join(', ')
  if (root) {
    process.stdout.write(`Installing with apt-get: ${what}\n`)
    await apt('update')
  }
  const names = await Promise.all(missing.map(need => known(need.packages)))
  const install = ['install', '-y', '--no-install-recommends', ...names]
  if (!root) throw new ScriptError(`The tests need ${what}. On Debian, as root: apt-get ${install.join(' ')}`)
  await apt(...install)
}
