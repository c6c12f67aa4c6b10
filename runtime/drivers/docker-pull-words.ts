/** What goes on in a pull, and what it means when one fails, in words. Pure. */
import type { ErrorCode } from '../errors.ts'
import type { ImageName } from './docker-image-name.ts'

/** One line of what the engine tells during a pull. */
export interface PullStep {
  readonly id?: string
  readonly status?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly error?: string
  readonly errorDetail?: { readonly message?: string }
}

/** Sums up the layers: what is there already counts with nothing, because there is nothing to wait for. */
export function createPullProgress(image: string): (step: PullStep) => string {
  const layers = new Map<string, { current: number; total: number }>()
  return ({ id, status, progressDetail: { current = 0, total = 0 } = {} }) => {
    if (id !== undefined && status === 'Downloading' && total > 0) layers.set(id, { current, total })
    const layer = layers.get(id ?? '')
    if (layer && (status === 'Download complete' || status === 'Extracting')) layer.current = layer.total
    const sum = (pick: (layer: { current: number; total: number }) => number) =>
      [...layers.values()].reduce((all, one) => all + pick(one), 0)
    const total_ = sum((one) => one.total)
    if (total_ === 0) return `pulling ${image}`
    return `pulling ${image}, ${inMb(sum((one) => one.current))} of ${inMb(total_)} MB`
  }
}

const inMb = (bytes: number) => (bytes < 10_000_000 ? (bytes / 1e6).toFixed(1) : String(Math.round(bytes / 1e6)))

type Words = { readonly code: ErrorCode; readonly detail: string }

const kinds: readonly { readonly pattern: RegExp; readonly explain: (image: ImageName, app: string) => Words }[] = [
  {
    pattern: /no space left on device|disk quota exceeded/i,
    explain: () => unavailable('the disk of the Docker engine is full: remove images nobody uses (docker image prune)'),
  },
  {
    pattern: /no matching manifest|does not match the specified platform|no match for platform/i,
    explain: () =>
      failed('there is none of it for the processor and system of the Docker engine: push it for that platform too'),
  },
  {
    pattern: /unauthorized|denied|no basic auth credentials|authentication required|incorrect username or password/i,
    explain: ({ registry }, app) =>
      failed(
        `the registry ${registry} does not hand it out: it does not exist or needs credentials. Give them with ORCHESTRY_REGISTRIES='{"${registry}":{"username":"…","secret":"NAME"}}' and orchestry secret set NAME; if they are given, check them and that app ${app} may use them`,
      ),
  },
  {
    pattern: /manifest unknown|manifest for .* not found|not found: manifest|tag .* not found/i,
    explain: ({ registry, tag, digest }) =>
      failed(`the registry ${registry} has no ${tag === undefined ? `digest ${digest}` : `tag ${tag}`} of it`),
  },
  {
    pattern: /name unknown|repository .* not found|not found/i,
    explain: ({ registry }) => failed(`the registry ${registry} has no such image`),
  },
  {
    pattern: /server gave HTTP response to HTTPS client|certificate/i,
    explain: ({ registry }) =>
      failed(`the Docker engine does not trust the registry ${registry}: give the engine its certificate`),
  },
  {
    pattern: /toomanyrequests|too many requests|rate limit/i,
    explain: ({ registry }) => failed(`the registry ${registry} has had too many requests; wait, or give credentials`),
  },
]

/** @param said by the engine */
export function pullFailure(image: ImageName, app: string, said: string): Words {
  const found = kinds.find(({ pattern }) => pattern.test(said))
  // Not the engine's fault, so nobody else's start waits for it: this app alone backs off, and a rollout goes back.
  const { code, detail } = found?.explain(image, app) ?? failed(`the registry ${image.registry} cannot be reached`)
  const name = `${image.repository}${image.tag === undefined ? '' : `:${image.tag}`}${image.digest ? `@${image.digest}` : ''}`
  return { code, detail: `The image ${name} of app ${app} could not be pulled: ${detail}. The engine said: ${said}` }
}

const failed = (detail: string): Words => ({ code: 'ORC_DRIVER_START_FAILED', detail })
const unavailable = (detail: string): Words => ({ code: 'ORC_DRIVER_UNAVAILABLE', detail })
