/**
 * The benchmarks: `node scripts/bench/run.ts [scenario…]`, all of them by default. `--help` says what can be asked for.
 *
 * Tables go to stdout, progress to stderr, everything that was measured to .cache/bench/<scenario>.json. It ends with
 * exit code 1 where a message was lost, repeated, reordered, misrouted or damaged; a speed that is not reached is said.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root, runScript, ScriptError } from '../launch.ts'
import { Bench, type BenchOptions } from './bench.ts'
import { faultsIn, printed, type Findings } from './report/report.ts'
import { scenarios } from './scenarios/index.ts'
import { contestants, type ContestantName } from './servers/contestants.ts'
import { pinned } from './servers/process.ts'

/** Those that take another server. */
const FOR_OTHERS = ['fanout', 'rooms']

const HELP = `Usage: node scripts/bench/run.ts [scenario…] [options]

Scenarios: ${Object.keys(scenarios).join(', ')} (all by default)

  --runs=3                 how often each is measured, in turn
  --seconds=1.5            how long a step of a search for a maximum takes
  --quick                  one run, shorter: to see that it works, not to quote
  --subscribers=100,500    fanout: the sizes of the room
  --contestants=a,b        of ${contestants.join(', ')}
  --profile=folder         CPU profiles of the servers

Another server, for fanout and rooms:
  --url=ws://host:port/ws  or tcp://host:port
  --login= --passcode= --vhost=
  --prefix=/topic/         what destinations begin with
  --no-receipts            it does not answer SUBSCRIBE with a RECEIPT
  --pid=                   its process, where it runs on this machine: for its CPU
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'help': { type: 'boolean' },
    'runs': { type: 'string' },
    'seconds': { type: 'string' },
    'quick': { type: 'boolean' },
    'subscribers': { type: 'string' },
    'contestants': { type: 'string' },
    'profile': { type: 'string' },
    'url': { type: 'string' },
    'login': { type: 'string' },
    'passcode': { type: 'string' },
    'vhost': { type: 'string' },
    'prefix': { type: 'string', default: '/topic/' },
    'no-receipts': { type: 'boolean' },
    'pid': { type: 'string' },
  },
})

const numberOf = (name: string, text: string): number => {
  const value = Number(text)
  if (!(value > 0)) throw new ScriptError(`${name}=${text}: a number above 0`)
  return value
}

const otherOf = (): BenchOptions['other'] => {
  const { url, login, passcode, vhost, prefix, pid } = values
  if (url === undefined) return undefined
  if (!/^(ws|tcp):\/\//.test(url)) throw new ScriptError(`--url=${url}: ws://host:port/path or tcp://host:port`)
  return {
    url,
    prefix,
    receipts: !values['no-receipts'],
    ...(login !== undefined && { login }),
    ...(passcode !== undefined && { passcode }),
    ...(vhost !== undefined && { host: vhost }),
    ...(pid !== undefined && { pid: numberOf('--pid', pid) }),
  }
}

const readOptions = (): BenchOptions => {
  const quick = values.quick ?? process.env['QUICK'] === '1'
  const names = values.contestants?.split(',')
  const unknown = names?.find(name => !contestants.some(known => known === name))
  if (unknown !== undefined) throw new ScriptError(`--contestants: ${unknown} is none of ${contestants.join(', ')}`)
  return {
    quick,
    runs: numberOf('--runs', values.runs ?? (quick ? '1' : '3')),
    seconds: numberOf('--seconds', values.seconds ?? (quick ? '1' : '1.5')),
    subscribers: values.subscribers?.split(',').map(text => numberOf('--subscribers', text)),
    contestants: names as readonly ContestantName[] | undefined,
    other: otherOf(),
    profile: values.profile,
  }
}

const machine = (): string => {
  const [{ model } = { model: 'unknown' }] = cpus()
  const cores = `${cpus().length} × ${model.trim()}`
  const where = pinned ? 'server on one core, load on the other(s)' : 'server and load share the cores'
  return `${cores}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}, Node.js ${process.version}; ${where}`
}

await runScript(async () => {
  if (values.help) return void process.stdout.write(HELP)
  const options = readOptions()
  const known = options.other ? FOR_OTHERS : Object.keys(scenarios)
  const asked = positionals.length > 0 ? positionals : (process.env['SCENARIO']?.split(',') ?? known)
  const unknown = asked.find(name => !known.includes(name))
  if (unknown !== undefined) throw new ScriptError(`${unknown} is none of ${known.join(', ')}`)
  const bench = new Bench(options)
  const found: Findings[] = []
  const folder = join(root, '.cache/bench')
  await mkdir(folder, { recursive: true })
  process.stdout.write(`${machine()}\n`)
  try {
    for (const name of asked) {
      const findings = await scenarios[name]!(bench)
      found.push(findings)
      process.stdout.write(`\n${printed(findings)}\n`)
      const record = { machine: machine(), at: new Date().toISOString(), runs: options.runs, ...findings }
      const file = options.other ? `${name}-other.json` : `${name}.json`
      await writeFile(join(folder, file), `${JSON.stringify(record, undefined, 1)}\n`)
    }
  } finally {
    await bench.close()
  }
  return Object.values(faultsIn(found)).some(count => count > 0) ? 1 : 0
})
