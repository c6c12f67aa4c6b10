/** The page and its files, with a policy under which nothing but these files can run. */
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
export function createPageFiles({ dashboard }: Pick<ApiDeps, 'dashboard'>) {
  return async (c: Context<ApiEnv>): Promise<Response | undefined> => {
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return undefined
    const file = await dashboard.file(c.req.path)
    if (!file) return undefined
    if (c.req.header('if-none-match') === file.etag)
      return new Response(null, { status: 304, headers: { ...headers, ETag: file.etag } })
    return new Response(file.body, { headers: { ...headers, 'Content-Type': file.contentType, ETag: file.etag } })
  }
}
