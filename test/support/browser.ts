/** A real browser for tests: the one of the machine, started once a file, with everything off that phones home. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { hasTool } from './real-tool.ts'

const args = [
  // Its own sandbox does not start as root; it sees only pages that the test itself serves on loopback.
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Why browser tests cannot run here, or false. */
export const noBrowser: string | false = hasTool('chromium', 'chromium') ? false : 'chromium is not installed'

export function launchBrowser(): Promise<Browser> {
  const found = (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, 'chromium'))
  const executablePath = found.find((path) => existsSync(path)) ?? '/usr/bin/chromium'
  return chromium.launch({ executablePath, args })
}

export interface Watched {
  readonly page: Page
  /** Console errors, uncaught exceptions, dialogs and violations of the content policy: all that should not be. */
  readonly faults: string[]
}

export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options })
  const faults: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.goto(url)
  return { page, faults }
}
