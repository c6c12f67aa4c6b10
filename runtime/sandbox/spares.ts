/** Keeps one started process of each flavour waiting, so that a plugin whose process died is serving again in milliseconds. */
import { OrchestryError } from '../errors.ts'
import type { Log } from '../log.ts'
import { type ProcessProgram, type SandboxProcess, startSandboxProcess } from './process.ts'

export interface Spares {
  /** A process that can take work. Throws ORC_SANDBOX_UNAVAILABLE. */
  take(isJit: boolean): Promise<SandboxProcess>
  close(): void
}

export function createSpares(program: ProcessProgram, log: Log): Spares {
  const waiting = new Map<boolean, SandboxProcess>()
  let isClosed = false

  function prepare(isJit: boolean): void {
    if (isClosed || waiting.has(isJit)) return
    const process = startSandboxProcess(program, isJit, log)
    waiting.set(isJit, process)
    process.own({
      onMessage: () => {},
      // A spare that dies is replaced when somebody needs one, not in a loop.
      onDeath: () => waiting.get(isJit) === process && waiting.delete(isJit),
    })
  }

  return {
    async take(isJit) {
      const spare = waiting.get(isJit)
      waiting.delete(isJit)
      const process = spare !== undefined && !spare.isDead ? spare : startSandboxProcess(program, isJit, log)
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
