import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root, runScript } from '../launch.ts'
import { parse } from './parse.ts'
import { sourcesIn } from './sources.ts'

const FILE = 300
const FUNCTION = 50

/** Prints what is well beyond a good size. It fails nothing: split by meaning, never to please a number. */
await runScript(async () => {
  for (const file of await sourcesIn(['server', 'kafka', 'client', 'scripts'], 'product')) {
    const text = await readFile(join(root, file), 'utf8')
    const lines = text.split('\n').length - 1
    if (lines > FILE) process.stdout.write(`${file} has ${lines} lines\n`)
    for (const each of parse(file, text).functions.filter(({ lines }) => lines > FUNCTION)) {
      process.stdout.write(`${file}:${each.line} ${each.name} has ${each.lines} lines\n`)
    }
  }
})
