/** The sandbox as built on isolated-vm: one powerless process per plugin, a spare that waits, isolates inside. */
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import { findEngineAddon } from './addon.ts'
import { createPluginSandbox } from './plugin-sandbox.ts'
import { buildSandboxProgram } from './program.ts'
import type { PluginSandbox, Sandbox, Tier } from './sandbox.ts'
import { createSpares } from './spares.ts'

export async function createSandbox(deps: {
  dataDir: string
  tier?: 'best' | '3' | '2' | '1' | '0'
  floor?: Tier
  clock: Clock
  log: Log
}): Promise<Sandbox> {
  const { dataDir, clock, log } = deps
  const addon = findEngineAddon()
  const path = await buildSandboxProgram(join(dataDir, 'sandbox'))
  const spares = createSpares({ path, addon: addon.path }, log)
  const loaded = new Set<PluginSandbox>()

  return {
    description: {
      engine: `isolated-vm ${addon.version}`,
      isolation:
        'one process per plugin: empty environment, no files, own process group, Node permission model, no JIT unless granted',
      node: process.versions.node,
      tier: 0,
      floor: deps.floor ?? 1,
      holds: [],
      lacks: [],
      tiers: [],
    },
    async load(bundle, limits) {
      const sandbox = await createPluginSandbox({ bundle, limits, spares, clock, log })
      loaded.add(sandbox)
      sandbox.onState((state) => state === 'closed' && loaded.delete(sandbox))
      return sandbox
    },
    async close() {
      spares.close()
      await Promise.allSettled([...loaded].map((sandbox) => sandbox.close()))
    },
  }
}
