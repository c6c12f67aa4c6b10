/** Ends containers: the image's own signal first, then by force after the grace time; a second, shorter stop shortens the first. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import type { DockerApi } from './docker-api.ts'
import { EngineRefusal } from './docker-connection.ts'

/** A killed container that is still there after this long hangs in the kernel or in the engine. */
const killedForMs = 20_000

interface Ending {
  killAtMs: number
  wake: AbortController
  readonly done: Promise<void>
}

export interface Endings {
  /** Resolves when the container does not run any more. */
  end(container: { containerId: string; stopSignal: string }, graceMs: number): Promise<void>
}

export function createEndings(deps: { api: DockerApi; clock: Pick<Clock, 'monotonic'> }): Endings {
  const { api, clock } = deps
  const endings = new Map<string, Ending>()

  /** An image may name a signal that there is not; its replica must end all the same. */
  async function ask(containerId: string, stopSignal: string): Promise<boolean> {
    return api.kill(containerId, stopSignal).catch((error: unknown) => {
      if (!(error instanceof EngineRefusal) || error.status >= 500) throw error
      return api.kill(containerId, 'SIGTERM')
    })
  }

  async function run(containerId: string, stopSignal: string, ending: () => Ending): Promise<void> {
    if (ending().killAtMs > clock.monotonic() && !(await ask(containerId, stopSignal))) return
    for (;;) {
      const leftMs = ending().killAtMs - clock.monotonic()
      if (leftMs <= 0) break
      ending().wake = new AbortController()
      const isTime = AbortSignal.timeout(Math.ceil(leftMs))
      const signal = AbortSignal.any([isTime, ending().wake.signal])
      if (await api.ended(containerId, signal, leftMs + killedForMs)) return
    }
    if (!(await api.kill(containerId, 'SIGKILL'))) return
    if (await api.ended(containerId, AbortSignal.timeout(killedForMs), killedForMs * 2)) return
    throw new OrchestryError(
      'ORC_DRIVER_UNAVAILABLE',
      `Container ${containerId.slice(0, 12)} got SIGKILL and still runs ${killedForMs / 1000} s later: it hangs in the kernel, or the Docker engine does. It is tried again when asked.`,
    )
  }

  return {
    end: ({ containerId, stopSignal }, graceMs) => {
      const killAtMs = clock.monotonic() + graceMs
      const earlier = endings.get(containerId)
      if (earlier) {
        earlier.killAtMs = Math.min(earlier.killAtMs, killAtMs)
        earlier.wake.abort()
        return earlier.done
      }
      const ending: Ending = {
        killAtMs,
        wake: new AbortController(),
        done: Promise.resolve()
          .then(() => run(containerId, stopSignal, () => ending))
          .finally(() => endings.delete(containerId)),
      }
      endings.set(containerId, ending)
      return ending.done
    },
  }
}
