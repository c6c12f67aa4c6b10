/** Plugins in real sandbox processes, and the room that calls them, as the benchmarks need them. */
import { systemClock } from '../../runtime/clock.ts'
import { createCaller } from '../../runtime/hooks/caller.ts'
import { createHooks } from '../../runtime/hooks/disciplines.ts'
import type { Hooks } from '../../runtime/hooks/hooks.ts'
import { effectiveLimits } from '../../runtime/limits.ts'
import { createLog } from '../../runtime/log.ts'
import { readConfig } from '../../runtime/plugins/config.ts'
import type { LiveInstance } from '../../runtime/plugins/plugins.ts'
import type {
  Bundle,
  CallOptions,
  InstanceOptions,
  PluginSandbox,
  Sandbox,
  SandboxInstance,
} from '../../runtime/sandbox/sandbox.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import type { BenchContext } from './bench.ts'

export const quietLog = createLog({ level: 'silent' })

export async function startSandbox({ dir, after }: BenchContext): Promise<Sandbox> {
  const sandbox = await createSandbox({ dataDir: dir, clock: systemClock, log: quietLog })
  after(() => sandbox.close())
  return sandbox
}

export const instanceNamed = (name: string, configJson = '{"cpuPerReplica":60}'): InstanceOptions => ({
  name,
  configJson,
  bindings: {},
  onHostCall: async () => 'null',
})

export interface Guest {
  readonly plugin: PluginSandbox
  readonly instance: SandboxInstance
  /** As the hooks room sees it. */
  readonly live: LiveInstance
}

/** With the defaults of its config. Third-party plugins run without a JIT unless it is granted, so that is what `isJit: false` stands for. */
export async function openGuest(
  sandbox: Sandbox,
  bundle: Bundle,
  options: { isJit?: boolean; timeoutMs?: number } = {},
): Promise<Guest> {
  const { isJit = false, timeoutMs } = options
  const limits = { ...effectiveLimits(timeoutMs === undefined ? undefined : { timeoutMs }, false), jit: isJit }
  const plugin = await sandbox.load(bundle, limits)
  const { hooks, configSchema } = await plugin.describe()
  const name = bundle.plugin
  const configJson = JSON.stringify(await readConfig(name, configSchema, undefined))
  const instance = await plugin.open(instanceNamed(name, configJson))
  const live = { plugin: name, version: '1.0.0', name, isDefault: true, limits, hooks, sandbox: instance }
  return { plugin, instance, live }
}

export function hooksOf(instances: readonly LiveInstance[]): Hooks {
  const caller = createCaller({ clock: systemClock, onIncident: () => {} })
  return createHooks({ caller, liveInstances: () => [...instances], onInstancesChanged: () => () => {} })
}

/** What stands inside `definePlugin({ … })`: a scaler of the size that people write. */
export const scalerBody = `
  config: Type.Object({ cpuPerReplica: Type.Number({ default: 60 }) }),
  scaler: {
    metrics: ['cpuPercent', 'rps'],
    decide({ app, metrics, config, hold }) {
      const cpu = metrics.cpuPercent?.mean
      if (cpu === undefined) return hold('no fresh cpuPercent')
      const replicas = Math.ceil((app.replicas * cpu) / config.cpuPerReplica)
      return { replicas, reason: \`\${cpu.toFixed(1)} % over \${app.replicas} replicas\` }
    },
  }`

const windowOf = (value: number) => ({
  last: value,
  mean: value,
  min: value,
  max: value,
  p95: value,
  samples: 20,
  ageSeconds: 0.5,
})

/** What a tick tells a scaler of one app. */
export function scalerInput(index: number, metrics: Readonly<Record<string, number>>) {
  return {
    app: {
      name: `app-${index}`,
      labels: { team: 'web' },
      replicas: 3,
      healthyReplicas: 3,
      minReplicas: 1,
      maxReplicas: 50,
      targets: { cpuPercent: 70, rpsPerReplica: 100 },
      scaleOutThresholdPct: 80,
      scaleInThresholdPct: 50,
      windowSeconds: 20,
    },
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, windowOf(value + index / 100)])),
  }
}

export const decideCall = (timeoutMs: number): CallOptions => ({
  hook: 'scaler',
  function: 'decide',
  per: 'item',
  timeoutMs,
})

const probe = JSON.stringify(scalerInput(0, { cpuPercent: 50, rps: 120 }))

/** One call that must be answered. */
export async function answerOf(instance: SandboxInstance): Promise<void> {
  const [answer] = await instance.call([probe], decideCall(1_000))
  if (!answer?.ok) throw new Error(`the guest did not answer: ${answer?.message}`)
}
