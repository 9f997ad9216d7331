import { glob } from 'node:fs/promises'
import { root } from '../launch.ts'

/** Tests, the suites that several of them share, and what they are made with. */
export const isTest = (file: string): boolean => /\.(test|contract)\.tsx?$|\/(testkit|e2e)\//.test(file)

/** The TypeScript files under `folders`, as paths from the root, sorted. */
export const sourcesIn = async (
  folders: readonly string[],
  kind: 'product' | 'tests' | 'all' = 'all',
): Promise<readonly string[]> => {
  const files: string[] = []
  for (const folder of folders) {
    for await (const file of glob(`${folder}/**/*.{ts,tsx}`, {
      cwd: root,
      exclude: ['**/node_modules/**', '**/dist/**'],
    })) {
      if (kind === 'all' || isTest(file) === (kind === 'tests')) files.push(file)
    }
  }
  return files.toSorted()
}
