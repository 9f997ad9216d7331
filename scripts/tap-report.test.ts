import t from 'tap'
import { TapReport } from './tap-report.ts'

const read = (tap: string): { report: TapReport; printed: string[] } => {
  const printed: string[] = []
  const report = new TapReport(line => printed.push(line))
  for (const line of tap.split('\n')) report.line(line)
  return { report, printed }
}

t.test('tests are counted, not assertions, and a file that passes is one line', async t => {
  const { report, printed } = read(`TAP version 14
# Subtest: a.test.ts
    # Subtest: outer
        # Subtest: inner one
            ok 1 - should be equal
            ok 2 - should be equal
            1..2
        ok 1 - inner one # time=1.2ms

        # Subtest: inner two
            ok 1 - (unnamed test)
            1..1
        ok 2 - inner two # time=0.2ms

        1..2
    ok 1 - outer # time=5.1ms

    1..1
    # time=20.5ms
ok 1 - a.test.ts # time=20.5ms

# Subtest: b.test.ts
    ok 1 - expected to throw
    1..1
ok 2 - b.test.ts # time=7ms

1..2
# { total: 4, pass: 4 }`)
  t.match(report, { passed: 3, failed: 0 })
  t.same(printed, ['ok    a.test.ts (20.5 ms)', 'ok    b.test.ts (7 ms)'])
})

t.test('of a file that fails everything is shown but what passed', async t => {
  const { report, printed } = read(`# Subtest: a.test.ts
    # Subtest: good
        ok 1 - fine
        1..1
    ok 1 - good # time=1ms

    # Subtest: bad
        ok 1 - fine
        not ok 2 - one is two
          ---
          diff: |
            -2
            +1
          ...
        1..2
    not ok 2 - bad # time=2ms

    1..2
not ok 1 - a.test.ts # time=20ms
  ---
  exitCode: 1
  ...

# Subtest: b.test.ts
    1..0 # no tests found
not ok 2 - b.test.ts # time=70ms
  ---
  exitCode: 7
  ...`)
  t.match(report, { passed: 1, failed: 2 })
  const text = printed.join('\n')
  t.match(text, 'FAIL  a.test.ts (20 ms)')
  t.match(text, 'not ok 2 - one is two')
  t.match(text, '+1')
  t.match(text, 'exitCode: 1')
  t.match(text, 'exitCode: 7')
  t.notMatch(text, 'fine')
})

t.test('a test that is skipped or still to be done has failed', async t => {
  const { report } = read(`# Subtest: a.test.ts
    ok 1 - whole # SKIP
    # Subtest: half
        ok 1 - part # SKIP no time
        ok 2 - later # TODO
        1..2
    ok 2 - half # time=1ms

    1..2
ok 1 - a.test.ts # time=20ms`)
  t.match(report, { passed: 0, failed: 2 })
})

t.test('what fails outside any test fails the run', async t => {
  const { report, printed } = read(`# Subtest: a.test.ts
    # Subtest: good
        ok 1 - fine
        1..1
    ok 1 - good # time=1ms

    not ok 2 - test after end() was called
    1..2
not ok 1 - a.test.ts # time=20ms

not ok 2 - timeout!
  ---
  expired: d.test.ts
  ...`)
  t.match(report, { passed: 1, failed: 2 })
  t.match(printed.join('\n'), 'expired: d.test.ts')
})
