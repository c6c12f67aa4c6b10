/** The page and its files, with a policy under which nothing but these files can run. */
import { fileURLToPath } from 'node:url'
import { serveStatic } from '@hono/node-server/serve-static'
import type { Context } from 'hono'
import type { ApiDeps, ApiEnv } from './deps.ts'

const headers = {
  'Cache-Control': 'no-cache',
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

/**
 * Answers with a file of the page, or undefined. Asked only where no route matches: a file cannot stand in front of the API,
 * and no pattern for file names slows down the router.
 */
export function createDashboard({ dashboardDir }: Pick<ApiDeps, 'dashboardDir'>) {
  const root = dashboardDir ?? fileURLToPath(new URL('../dashboard/public', import.meta.url))
  const serve = serveStatic<ApiEnv>({ root })
  return async (c: Context<ApiEnv>): Promise<Response | undefined> => {
    const found = await serve(c, async () => {})
    if (!(found instanceof Response)) return undefined
    for (const [name, value] of Object.entries(headers)) found.headers.set(name, value)
    return found
  }
}
