/** Puts a sandbox process of a stranger in the place of ours, and watches what the control plane makes of it. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { effectiveLimits } from '../../runtime/limits.ts'
import { buildSandboxProgram } from '../../runtime/sandbox/program.ts'
import type { GuestAnswer, PluginSandbox, SandboxIncident, SandboxInstance } from '../../runtime/sandbox/sandbox.ts'
import { isAlive } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { createTestedSandbox } from '../support/tested-tier.ts'
import { waitFor } from '../support/wait-for.ts'

const script = fileURLToPath(new URL('./forged-host.cjs', import.meta.url))
const bundle = { plugin: 'forged', version: '1.0.0', source: '', hash: '' }
type Test = { after(run: () => Promise<void>): void }

export interface Forged {
  readonly plugin: PluginSandbox
  readonly instances: readonly SandboxInstance[]
  readonly incidents: readonly SandboxIncident[]
  /** What the host did for it, as `instance operation arguments`. */
  readonly served: readonly string[]
  call(options?: { timeoutMs?: number; instance?: number; item?: string }): Promise<GuestAnswer>
  /** Of the process that was called first: resolves when it is gone, with what was told of it. */
  end(): Promise<SandboxIncident>
}

export async function forge(test: Test, way: string, instanceCount = 1): Promise<Forged> {
  const dataDir = await tempDir(test)
  const path = await buildSandboxProgram(join(dataDir, 'sandbox'))
  const text = await readFile(script, 'utf8')
  assert.ok(text.includes(`const way = 'honest'`) && text.includes(way), `${script} knows the way ${way}`)
  await writeFile(path, text.replace(`const way = 'honest'`, `const way = '${way}'`))
  const sandbox = await createTestedSandbox(dataDir)
  test.after(() => sandbox.close())
  const plugin = await sandbox.load(bundle, { ...effectiveLimits(undefined, false), hostCalls: 20 })
  const incidents: SandboxIncident[] = []
  plugin.onIncident((incident) => incidents.push(incident))
  const served: string[] = []
  const instances: SandboxInstance[] = []
  for (const name of ['one', 'another', ...Array.from({ length: 8 }, (_, index) => `more${index}`)].slice(
    0,
    instanceCount,
  )) {
    const onHostCall = async (operation: string, argumentsJson: string) => {
      served.push(`${name} ${operation} ${argumentsJson}`)
      return 'null'
    }
    instances.push(await plugin.open({ name, configJson: '{}', bindings: { kv: 'kv' }, onHostCall }))
  }
  const pid = plugin.pid as number
  return {
    plugin,
    instances,
    incidents,
    served,
    async call({ timeoutMs = 1_000, instance = 0, item = '{}' } = {}) {
      const options = { hook: 'scaler', function: 'decide', per: 'item', timeoutMs } as const
      const [answer] = (await instances[instance]?.call([item], options)) ?? []
      return answer as GuestAnswer
    },
    async end() {
      await waitFor(() => !isAlive(pid) && incidents.length > 0, {
        timeoutMs: 30_000,
        what: 'the forged process to end',
      })
      assert.equal(({} as { polluted?: number }).polluted, undefined)
      return incidents[0] as SandboxIncident
    },
  }
}

/** Most that this process held at any moment of it, in MiB above what it held before. */
export async function growthMb(work: () => Promise<unknown>): Promise<number> {
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 2)
  await work()
  clearInterval(timer)
  return (Math.max(most, process.memoryUsage.rss()) - before) / (1024 * 1024)
}
