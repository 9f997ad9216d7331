import { ServiceError } from './process.ts'

/**
 * Runs the command that the process was started with, prints what it resolves with, and ends the process. A mistake of whoever
 * runs it is one line.
 */
export const runCommand = async (
  name: string,
  help: string,
  commands: Readonly<Record<string, () => Promise<string>>>,
): Promise<never> => {
  const asked = process.argv[2] ?? ''
  const command = Object.hasOwn(commands, asked) ? commands[asked] : undefined
  if (!command) {
    const wanted = asked === '--help' || asked === 'help'
    process[wanted ? 'stdout' : 'stderr'].write(help)
    process.exit(wanted ? 0 : 2)
  }
  try {
    process.stdout.write(`${await command()}\n`)
    process.exit(0)
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof ServiceError ? error.message : String(error)}\n`)
    process.exit(1)
  }
}
