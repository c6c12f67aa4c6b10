/** A real guest in a real sandbox process, with real capabilities: for plugins that mean harm to what they were granted. */
import type { TestContext } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import type { AnyCapability, Bound, Violation } from '../../runtime/capabilities/capability.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { effectiveLimits } from '../../runtime/limits.ts'
import { bundleGuest } from './guest-bundle.ts'
import { tempDir } from './temp-dir.ts'
import { createTestedSandbox } from './tested-tier.ts'

export interface HostileGuest {
  readonly bound: Bound
  readonly violations: Violation[]
  /** Runs `attack(ctx, input)` once; what it returns. */
  attack(input?: unknown): Promise<unknown>
}

/** `body` is that of `async attack(ctx, input, tell)`; `tell(work)` gives what the work gives, or the code of its error. */
export async function openHostileGuest(
  t: TestContext,
  options: { capability: AnyCapability; grant: CapabilityRecord; body: string; timeoutMs?: number },
): Promise<HostileGuest> {
  const { capability, grant, body, timeoutMs = 5_000 } = options
  const violations: Violation[] = []
  const bound = createCapabilities([capability]).bind(
    [grant],
    { plugin: 'test-plugin', instance: 'one' },
    (violation) => void violations.push(violation),
  )
  const dataDir = await tempDir(t)
  const sandbox = await createTestedSandbox(dataDir)
  t.after(async () => {
    bound.dispose()
    await sandbox.close()
  })
  const bundle = await bundleGuest(`scaler: {
    async decide({ ctx, app: input }) {
      const tell = async (work) => { try { return await work() } catch (error) { return error.code ?? error.message } }
      const told = await (async () => { ${body} })()
      return { replicas: 1, reason: JSON.stringify(told) ?? 'null' }
    },
  },`)
  const plugin = await sandbox.load(bundle, { ...effectiveLimits(undefined, false), timeoutMs })
  const instance = await plugin.open({
    name: 'one',
    configJson: '{}',
    bindings: bound.bindings,
    onHostCall: bound.onHostCall,
  })
  return {
    bound,
    violations,
    async attack(input = null) {
      const [answer] = await instance.call([JSON.stringify({ app: input })], {
        hook: 'scaler',
        function: 'decide',
        per: 'item',
        timeoutMs,
      })
      if (answer?.ok !== true) throw new Error(`the guest failed: ${answer?.code} ${answer?.message}`)
      return JSON.parse((answer.value as { reason: string }).reason) as unknown
    },
  }
}
