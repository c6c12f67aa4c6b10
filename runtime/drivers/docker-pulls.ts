/** Pulls under way: one for each image and credentials, a few at once, each with all who wait for it. */
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'
import type { DockerApi } from './docker-api.ts'
import { type PullRequest, pull } from './docker-pull.ts'

interface Waiting {
  onProgress(line: string): void
}
interface UnderWay {
  readonly waiting: Set<Waiting>
  readonly giveUp: AbortController
  readonly done: Promise<void>
}

export interface Pulls {
  pull(request: PullRequest, options: { onProgress: (line: string) => void; signal: AbortSignal }): Promise<void>
}

export function createPulls(deps: { api: DockerApi; clock: Pick<Clock, 'after' | 'monotonic'> }): Pulls {
  const underWay = new Map<string, UnderWay>()
  const places = createPlaces(limits.imagePullsAtOnce)

  const begin = (key: string, request: PullRequest): UnderWay => {
    const waiting = new Set<Waiting>()
    const giveUp = new AbortController()
    const tell = (line: string) => {
      for (const one of waiting) one.onProgress(line)
    }
    const run = async () => {
      const leave = await places.enter(giveUp.signal, () => tell(`waiting to pull ${request.image.repository}`))
      try {
        await pull(deps, request, { onProgress: tell, signal: giveUp.signal })
      } finally {
        leave()
      }
    }
    const one = {
      waiting,
      giveUp,
      done: Promise.resolve()
        .then(run)
        .finally(() => underWay.get(key) === one && underWay.delete(key)),
    }
    underWay.set(key, one)
    return one
  }

  return {
    async pull(request, { onProgress, signal }) {
      signal.throwIfAborted()
      const { repository, tag, digest } = request.image
      const key = JSON.stringify([repository, tag, digest, request.auth])
      const one = underWay.get(key) ?? begin(key, request)
      const mine: Waiting = { onProgress }
      one.waiting.add(mine)
      const left = Promise.withResolvers<never>()
      const leave = () => left.reject(signal.reason)
      signal.addEventListener('abort', leave, { once: true })
      try {
        await Promise.race([one.done, left.promise])
      } finally {
        signal.removeEventListener('abort', leave)
        one.waiting.delete(mine)
        if (one.waiting.size === 0) {
          // Whoever comes now begins anew instead of joining what ends.
          if (underWay.get(key) === one) underWay.delete(key)
          one.giveUp.abort(new Error('nobody waits for the image any more'))
          one.done.catch(() => undefined)
        }
      }
    },
  }
}

/** A line in which everybody gets a place in turn. */
function createPlaces(count: number) {
  const queue: (() => void)[] = []
  let free = count
  const leave = () => {
    const next = queue.shift()
    if (next) next()
    else free += 1
  }
  return {
    async enter(signal: AbortSignal, onWait: () => void): Promise<() => void> {
      signal.throwIfAborted()
      if (free > 0) {
        free -= 1
        return leave
      }
      onWait()
      const turn = Promise.withResolvers<void>()
      const giveUp = () => {
        const index = queue.indexOf(turn.resolve)
        if (index < 0) return
        queue.splice(index, 1)
        turn.reject(signal.reason)
      }
      queue.push(turn.resolve)
      signal.addEventListener('abort', giveUp, { once: true })
      await turn.promise
      signal.removeEventListener('abort', giveUp)
      return leave
    },
  }
}
