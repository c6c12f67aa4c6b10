/** Looks at a living sandbox process ten times a second: whether it uses more than its plugin may, or has fallen silent. */
import type { Clock } from '../clock.ts'
import type { ErrorCode } from '../errors.ts'
import type { CpuWatch } from './cpu-watch.ts'
import type { SandboxProcess } from './process.ts'
import type { OpenRequest, Purpose, Requests } from './requests.ts'

/** The process itself, without any isolate; what its isolates may use comes on top. */
const baseMemoryMb = 120
const watchEveryMs = 100
const silenceMs = 3_000

export interface Watched {
  readonly process: Pick<SandboxProcess, 'memoryMb' | 'cpuMs' | 'lastHeardMs'>
  readonly requests: Pick<Requests, 'open' | 'times' | 'suspect'>
  readonly cpu: CpuWatch<OpenRequest>
}

export interface Excess {
  readonly code: ErrorCode
  readonly message: string
  readonly purpose: Purpose
}

/** Also while nothing is asked of it: a plugin need not be called to do harm. */
export function findExcess(
  { process, requests, cpu }: Watched,
  allowed: { readonly memoryMb: number; readonly isolates: number; readonly isHostBehind: boolean },
): Excess | undefined {
  const mostMb = 1.5 * (baseMemoryMb + 2 * allowed.memoryMb * Math.max(1, allowed.isolates))
  const memoryMb = process.memoryMb()
  if (memoryMb > mostMb) {
    const message = `its process used ${Math.round(memoryMb)} MB, at most ${Math.round(mostMb)} are allowed`
    return { code: 'ORC_SANDBOX_OUT_OF_MEMORY', message, purpose: requests.suspect() }
  }
  const nowMs = performance.now()
  const verdict = cpu.look({ cpuMs: process.cpuMs(), nowMs, ...requests.times(), open: requests.open() })
  if (verdict?.kind === 'call') {
    const { spender, limitMs } = verdict
    const message = `one call took ${Math.round(spender.cpuMs)} ms of processor time, at most ${limitMs} are allowed (limits.cpuMs)`
    return { code: 'ORC_SANDBOX_CPU_EXCEEDED', message, purpose: spender.purpose }
  }
  if (verdict?.kind === 'idle') {
    const spent = `${Math.round(verdict.cpuMs)} ms of processor time within ${Math.round(verdict.idleMs)} ms`
    const message = `it took ${spent} in which nothing was asked of it`
    return { code: 'ORC_SANDBOX_CPU_EXCEEDED', message, purpose: {} }
  }
  if (nowMs - process.lastHeardMs <= silenceMs || allowed.isHostBehind) return undefined
  const message = `its process said nothing for ${silenceMs} ms`
  return { code: 'ORC_SANDBOX_TIMEOUT', message, purpose: requests.suspect() }
}

/** Returns what ends it. When our own loop was held up, silence is ours: what came in has not been read yet. */
export function watchEvery(clock: Pick<Clock, 'every'>, watch: (isHostBehind: boolean) => void): () => void {
  let lastMs = performance.now()
  return clock.every(watchEveryMs, () => {
    watch(performance.now() - lastMs > watchEveryMs * 5)
    lastMs = performance.now()
  })
}
