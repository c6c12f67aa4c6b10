/** Makes the page's files: compiled when somebody first looks at it, so that a start costs nothing and needs no build. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Dashboard, PageFile } from './dashboard.ts'

const contentTypes = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
} as const

/** In a source tree beside this file; in the published package the sources of the page stand beside what was compiled. */
function findPage(): string {
  const candidates = ['./page', '../../dashboard/page'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
  return candidates.find((path) => existsSync(join(path, 'main.tsx'))) ?? String(candidates[0])
}

/** `pageDir` holds `index.html`, `icon.svg` and `main.tsx`, which imports everything else, its styles too. */
export function createDashboard({ pageDir = findPage() }: { pageDir?: string } = {}): Dashboard {
  const asIs = (name: string, type: keyof typeof contentTypes) =>
    once(async () => pageFile(await readFile(join(pageDir, name)), contentTypes[type]))
  const compiled = once(() => compile(pageDir))
  const files = new Map<string, () => Promise<PageFile>>([
    ['/', asIs('index.html', 'html')],
    ['/index.html', asIs('index.html', 'html')],
    ['/icon.svg', asIs('icon.svg', 'svg')],
    ['/page.js', async () => (await compiled()).js],
    ['/page.css', async () => (await compiled()).css],
  ])
  return { file: async (path) => files.get(path)?.() }
}

/** Many may ask at once and are given one answer; a failure is not kept. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((thrown) => {
      made = undefined
      throw thrown
    })
    return made
  }
}

async function compile(pageDir: string): Promise<{ js: PageFile; css: PageFile }> {
  const result = await build({
    entryPoints: { page: join(pageDir, 'main.tsx') },
    outdir: pageDir,
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    conditions: ['@orchestry/source'],
    legalComments: 'none',
    logLevel: 'silent',
    // The nearest one is for the type checker; a published package has none.
    tsconfigRaw: {},
  }).catch((thrown: unknown) => {
    const detail = `The page cannot be compiled: ${messageOf(thrown)}. The API works without it; npm ci restores its files.`
    throw new OrchestryError('ORC_API_INTERNAL', detail, { cause: thrown })
  })
  const output = (extension: string) => {
    const found = result.outputFiles.find(({ path }) => path.endsWith(extension))
    return Buffer.from(found?.contents ?? [])
  }
  return { js: pageFile(output('.js'), contentTypes.js), css: pageFile(output('.css'), contentTypes.css) }
}

function pageFile(body: Buffer<ArrayBuffer>, contentType: string): PageFile {
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22)
  return { body, contentType, etag: `"${hash}"` }
}
