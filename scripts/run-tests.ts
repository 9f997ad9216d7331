import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { checkCoverage } from './checks/coverage.ts'
import { capture, ended, isEnding, launch, root, runScript, ScriptError, unconfigured } from './launch.ts'
import { endLeftovers } from './leftovers.ts'
import { installPackages } from './packages.ts'
import { buildPage } from './page.ts'
import { startKafka } from './services/kafka.ts'
import { startPostgres } from './services/postgres.ts'
import { startRedis } from './services/redis.ts'
import { TapReport } from './tap-report.ts'

const COVERAGE = '.tap/report/coverage-final.json'

/** After an install, tap has to be put together once with the plugins of .taprc, and again where the folder was moved. */
const buildTap = async (): Promise<void> => {
  const built = await readFile(join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js'), 'utf8')
  const place = await readFile(join(root, '.tap/plugins/package.json'), 'utf8').catch(() => '')
  if (!/signature = `[^`]*@tapjs\/typescript/.test(built) && place.includes(`${pathToFileURL(root).href}/`)) return
  process.stdout.write('Building tap\n')
  const { code, output } = await capture('node_modules/.bin/tap', ['build'])
  if (code !== 0) throw new ScriptError(`${output.trimEnd()}\ntap could not be built.`)
}

const runTap = async (env: Record<string, string>): Promise<TapReport> => {
  await rm(join(root, COVERAGE), { force: true })
  const report = new TapReport(line => process.stdout.write(`${line}\n`))
  const args = ['--reporter=tap', '--coverage-report=json', `--jobs=${Math.min(4, availableParallelism())}`]
  const tap = launch('node_modules/.bin/tap', args, { env: { ...unconfigured, ...env }, output: 'kept' })
  tap.stderr?.pipe(process.stderr)
  if (tap.stdout) createInterface({ input: tap.stdout }).on('line', line => report.line(line))
  const code = await ended(tap)
  if (isEnding()) throw new ScriptError('the tests were ended')
  if (code !== 0 && report.failed === 0) throw new ScriptError(`tap failed (exit code ${code})`)
  return report
}

/** Runs the tests with a Kafka, a PostgreSQL and a Redis of their own, and resolves with whether everything is as it should be. */
const runTests = async (scratch: string): Promise<boolean> => {
  const kafka = await startKafka({ brokers: 1, folder: join(scratch, 'kafka') })
  const postgres = await startPostgres({ folder: join(scratch, 'postgres') })
  const redis = await startRedis()
  const tests = join(scratch, 'tests')
  await mkdir(tests)
  try {
    const report = await runTap({
      TMPDIR: tests,
      KAFKA_TEST_BROKERS: kafka.brokers,
      POSTGRES_TEST_URL: postgres.url,
      REDIS_TEST_URL: redis.url,
      CI: 'true',
    })
    const left = await endLeftovers(`TMPDIR=${tests}`)
    for (const each of left) process.stdout.write(`A test left this running: ${each}\n`)
    const covered = await checkCoverage(COVERAGE)
    process.stdout.write(`\n${report.passed} passed, ${report.failed} failed\n`)
    return report.failed === 0 && left.length === 0 && covered
  } finally {
    await endLeftovers(`TMPDIR=${tests}`, 0)
    await kafka.stop()
    await postgres.stop()
    await redis.kill()
  }
}

await runScript(async () => {
  await installPackages()
  await buildTap()
  await buildPage()
  const scratch = await mkdtemp(join(tmpdir(), 'hoofbeat-tests-'))
  // PostgreSQL, which does not run as root, has its data in there.
  await chmod(scratch, 0o711)
  try {
    return (await runTests(scratch)) ? 0 : 1
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5 })
  }
})
