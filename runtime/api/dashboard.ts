/** The page and its files, with a policy under which nothing but these files can run. */
import { fileURLToPath } from 'node:url'
import { serveStatic } from '@hono/node-server/serve-static'
import type { Api, ApiDeps } from './deps.ts'

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
const files = 'html|js|css|svg|png|ico|woff2|webmanifest'

export function mountDashboard(api: Api, { dashboardDir }: Pick<ApiDeps, 'dashboardDir'>): void {
  const root = dashboardDir ?? fileURLToPath(new URL('../dashboard/public', import.meta.url))
  const serve = serveStatic<{ Bindings: object }>({
    root,
    onFound: (_path, c) => {
      c.header('Cache-Control', 'no-cache')
      c.header('Content-Security-Policy', policy)
      c.header('Cross-Origin-Opener-Policy', 'same-origin')
      c.header('Cross-Origin-Resource-Policy', 'same-origin')
      c.header('Referrer-Policy', 'no-referrer')
      c.header('X-Content-Type-Options', 'nosniff')
    },
  })
  api.get('/', serve)
  api.get(`/:file{[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]+)*\\.(?:${files})}`, serve)
  api.get(`/:folder{[A-Za-z0-9_-]+}/:file{[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]+)*\\.(?:${files})}`, serve)
}
