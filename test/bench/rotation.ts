/** A whole running Orchestry, and which replicas its proxy sends requests to: asked of the proxy process itself. */
import { createLink } from '../../runtime/dataplane/link.ts'
import { controlSocketPath } from '../../runtime/dataplane/socket-path.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { type WaitOptions, waitFor } from '../support/wait-for.ts'
import type { BenchContext } from './bench.ts'

export interface Watched {
  readonly orchestry: RunningOrchestry
  /** Ids of the replicas in rotation: those that new requests go to. */
  inRotation(app: string): Promise<string[]>
  /** Resolves with the milliseconds from now until the rotation is as asked for. */
  until(app: string, isIt: (ids: readonly string[]) => boolean, options?: WaitOptions): Promise<number>
}

export async function startWatched(context: BenchContext): Promise<Watched> {
  const orchestry = await startOrchestry(context, { dataDir: context.dir })
  const link = createLink(await controlSocketPath(context.dir))
  context.after(() => link.close())
  const inRotation = async (app: string) => {
    const status = await link.status(app)
    return (status?.endpoints ?? []).filter(({ state }) => state === 'serving').map(({ id }) => id)
  }
  return {
    orchestry,
    inRotation,
    async until(app, isIt, options = {}) {
      const startedMs = performance.now()
      const usual = { timeoutMs: 20_000, everyMs: 5, what: `the replicas of ${app} in rotation to be as wanted` }
      await waitFor(async () => isIt(await inRotation(app)), { ...usual, ...options })
      return performance.now() - startedMs
    },
  }
}
