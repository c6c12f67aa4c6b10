/** What benchmarks with containers need, and which of them nginx sends requests to: as its live configuration says. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DockerEngine, dockerSkip, startDockerEngine } from '../support/docker-engine.ts'
import { importReleases, type LoadWorld, nginxSkip, startWorld } from '../support/load-world.ts'
import { newestFirst } from '../support/newest-first.ts'
import { type WaitOptions, waitFor } from '../support/wait-for.ts'
import type { BenchContext } from './bench.ts'

/** Why there is nothing to measure here, or false. */
export const containersMissing = dockerSkip || nginxSkip

export interface Containers {
  readonly engine: DockerEngine
  readonly world: LoadWorld
  /** `ip:port` of every replica that nginx sends requests of this app to; undefined while it changes. */
  inRotation(app: string): Promise<string[] | undefined>
  /** Resolves with the milliseconds from now until the rotation is as asked for. */
  until(app: string, isIt: (addresses: readonly string[]) => boolean, options?: WaitOptions): Promise<number>
}

export async function startContainers(
  context: BenchContext,
  options: { args?: readonly string[] } = {},
): Promise<Containers> {
  const cleanup = newestFirst(context)
  const engine = await startDockerEngine(cleanup, { liveRestore: true })
  await importReleases(engine)
  const world = await startWorld(cleanup, { engine, isNginx: true, ...options })
  const config = join(world.dataDir, 'work', '@orchestry+nginx', 'nginx', 'nginx.conf')
  const inRotation = async (app: string) => {
    const [live, text] = await Promise.all([world.generation(), readFile(config, 'utf8')])
    if (live === '' || !text.includes(live)) return undefined
    const group = new RegExp(`upstream orchestry_${app} \\{[^}]*\\}`).exec(text)?.[0] ?? ''
    return [...group.matchAll(/server (\S+)/g)].map(([, address = '']) => address)
  }
  return {
    engine,
    world,
    inRotation,
    async until(app, isIt, wait = {}) {
      const startedMs = performance.now()
      const usual = { timeoutMs: 60_000, everyMs: 5, what: `nginx to send requests of ${app} where they should go` }
      const isSo = async () => {
        const addresses = await inRotation(app)
        return addresses !== undefined && isIt(addresses)
      }
      await waitFor(isSo, { ...usual, ...wait })
      return performance.now() - startedMs
    },
  }
}
