/** Keeps one started process of each flavour waiting, so that a plugin whose process died is serving again in milliseconds. */
import { OrchestryError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Confinement } from './confinement.ts'
import { type SandboxProcess, startSandboxProcess } from './process.ts'

export interface Spares {
  /** A process that can take work. Throws ORC_SANDBOX_UNAVAILABLE. */
  take(isJit: boolean): Promise<SandboxProcess>
  close(): void
}

export interface FillingSpares extends Spares {
  /** Resolves when a first one is ready, rejects with what kept it from that. */
  prepare(): Promise<void>
  /** Resolves when every process that was ever started here is gone, with all that belonged to it. */
  settled(): Promise<void>
}

export function createSpares(confinement: Confinement, log: Log): FillingSpares {
  const waiting = new Map<boolean, SandboxProcess>()
  const alive = new Set<SandboxProcess>()
  let isClosed = false

  function start(isJit: boolean): SandboxProcess {
    const process = startSandboxProcess(confinement, isJit, log)
    alive.add(process)
    void process.gone.then(() => alive.delete(process))
    return process
  }

  function prepare(isJit: boolean): SandboxProcess | undefined {
    if (isClosed || waiting.has(isJit)) return waiting.get(isJit)
    const process = start(isJit)
    waiting.set(isJit, process)
    process.own({
      onMessage: () => {},
      // A spare that dies is replaced when somebody needs one, not in a loop.
      onDeath: () => waiting.get(isJit) === process && waiting.delete(isJit),
    })
    return process
  }

  return {
    prepare: async () => prepare(false)?.ready,
    settled: async () => void (await Promise.all([...alive].map(({ gone }) => gone))),
    async take(isJit) {
      const spare = waiting.get(isJit)
      waiting.delete(isJit)
      const process = spare !== undefined && !spare.isDead ? spare : start(isJit)
      try {
        await process.ready
      } catch (cause) {
        throw new OrchestryError('ORC_SANDBOX_UNAVAILABLE', 'A sandbox process could not be started.', { cause })
      }
      // Only now, so that the one that is needed does not share the processor with its successor.
      setTimeout(() => prepare(isJit), 200).unref()
      return process
    },
    close() {
      isClosed = true
      for (const process of waiting.values()) process.kill('Orchestry stops')
      waiting.clear()
    },
  }
}
