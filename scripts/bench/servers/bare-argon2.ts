/** How many passwords a second a core looks at, one after the other, and nothing else. Its argument: for how many seconds. */
import { Passwords } from '../../../server/accounts/passwords.ts'

const passwords = new Passwords()
const hash = await passwords.hash('correct horse')
const during = async (seconds: number): Promise<number> => {
  const begun = performance.now()
  let done = 0
  for (; performance.now() - begun < seconds * 1000; done++) await passwords.matches(hash, 'correct horse')
  return (done * 1000) / (performance.now() - begun)
}
await during(0.5)
process.stdout.write(`${JSON.stringify(await during(Number(process.argv[2])))}\n`)
