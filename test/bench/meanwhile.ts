/** What others notice while a plugin misbehaves: the host's own event loop, and a plugin in the process next door. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SandboxInstance } from '../../runtime/sandbox/sandbox.ts'
import { answerOf } from './guests.ts'

export interface Meanwhile {
  /** Longest time between two turns of the host's event loop. */
  readonly loopGapMs: number
  /** The neighbour's slowest call, of those made every few milliseconds all the while. */
  readonly slowestCallMs: number
}

const resolutionMs = 1
/** Between two calls of the neighbour, so that watching does not take the processor from what is watched. */
const pauseMs = 5

export async function watching<T>(
  neighbour: SandboxInstance,
  work: () => Promise<T>,
): Promise<{ result: T; meanwhile: Meanwhile }> {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  let isOver = false
  let slowestCallMs = 0
  const calling = (async () => {
    while (!isOver) {
      const startedMs = performance.now()
      await answerOf(neighbour)
      slowestCallMs = Math.max(slowestCallMs, performance.now() - startedMs)
      await sleep(pauseMs)
    }
  })()
  // A neighbour that fails is seen below; until then nobody waits for it.
  calling.catch(() => {})
  delay.enable()
  try {
    const result = await work()
    delay.disable()
    isOver = true
    await calling
    return { result, meanwhile: { loopGapMs: delay.max / 1e6, slowestCallMs } }
  } finally {
    isOver = true
    delay.disable()
  }
}
