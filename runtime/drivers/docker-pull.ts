/** One pull of one image, shared by all who wait for it; it is given up when nobody waits any more. */
import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { DockerApi } from './docker-api.ts'
import { EngineRefusal } from './docker-connection.ts'
import type { ImageName } from './docker-image-name.ts'
import { readJsonLines } from './docker-lines.ts'
import { createPullProgress, type PullStep, pullFailure } from './docker-pull-words.ts'

/** The engine itself tries a registry again and again before it says that it cannot be reached. */
const silentMs = 180_000
const lineEveryMs = 500
/** Characters of what a registry says: it goes into events and logs. */
const mostSaid = 2_000

export interface PullRequest {
  readonly image: ImageName
  readonly app: string
  readonly auth?: object
}

/** @throws ORC_DRIVER_START_FAILED or ORC_DRIVER_UNAVAILABLE in words, or what the signal was aborted with. */
export async function pull(
  deps: { api: DockerApi; clock: Pick<Clock, 'after' | 'monotonic'> },
  { image, app, auth }: PullRequest,
  options: { onProgress: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const { api, clock } = deps
  const { repository, tag, digest } = image
  const given = new AbortController()
  const signal = AbortSignal.any([given.signal, options.signal])
  const refuse = (said: string): never => {
    const { code, detail } = pullFailure(image, app, said)
    throw new OrchestryError(code, detail)
  }
  let cancel: () => void = () => undefined
  const heard = () => {
    cancel()
    cancel = clock.after(silentMs, () => given.abort(new Error(`nothing was heard for ${silentMs / 1000} s`)))
  }
  let stream: Readable | undefined
  try {
    heard()
    stream = await api.pull(repository, digest ?? tag ?? 'latest', {
      ...(auth && { auth }),
      signal,
      deadlineMs: silentMs,
    })
    await followPull(stream, progressLines(nameOf(image), clock, options.onProgress), heard)
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason
    if (error instanceof EngineRefusal) return refuse(error.message)
    if (error instanceof PullError) return refuse(error.message)
    if (error instanceof OrchestryError) throw error
    return refuse(messageOf(given.signal.reason ?? error))
  } finally {
    cancel()
    stream?.destroy()
  }
}

const nameOf = ({ repository, tag, digest }: ImageName) =>
  `${repository}${tag ? `:${tag}` : `@${digest?.slice(0, 19)}`}`

class PullError extends Error {}

async function followPull(stream: Readable, onStep: (step: PullStep) => void, heard: () => void): Promise<void> {
  for await (const step of readJsonLines<PullStep>(stream)) {
    heard()
    const said = step.errorDetail?.message ?? step.error
    if (said !== undefined) throw new PullError(String(said).slice(0, mostSaid))
    onStep(step)
  }
}

/** For people: not more lines than they can read. */
function progressLines(name: string, clock: Pick<Clock, 'monotonic'>, tell: (line: string) => void) {
  const progress = createPullProgress(name)
  let last = ''
  let toldAtMs = Number.NEGATIVE_INFINITY
  return (step: PullStep) => {
    const line = progress(step)
    const nowMs = clock.monotonic()
    if (line === last || nowMs - toldAtMs < lineEveryMs) return
    last = line
    toldAtMs = nowMs
    tell(line)
  }
}
