import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { LaunchOptions } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']
const APPLICATIONS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

const runs = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The Chromium of this machine: the one that CHROMIUM names, or the first that is found. */
export const findChromium = (): string | undefined => {
  const named = process.env['CHROMIUM']
  if (named) return runs(named) ? named : undefined
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const found = NAMES.flatMap(name => folders.map(folder => join(folder, name))).find(runs)
  return found ?? APPLICATIONS.find(application => existsSync(application))
}

/** What playwright-core's `chromium.launch` takes. Throws where there is no Chromium. */
export const launchOptions = (): LaunchOptions => {
  const executablePath = findChromium()
  if (!executablePath)
    throw new Error('Chromium was not found: install it (Debian: apt-get install -y chromium), or set CHROMIUM')
  return {
    executablePath,
    headless: true,
    // Chromium's sandbox does not work for root, and should for everyone else.
    chromiumSandbox: process.getuid?.() !== 0,
    // No GPU is there, and a test's browser must not talk to anyone but the test.
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  }
}
