/** Takes probes to the plugins that make them: alike ones together, in bounded batches, and brings each its answer. */
import type { HealthCheck, HealthInput, HealthResult } from '@orchestry/sdk'
import type { Answer, Hooks } from '../hooks/hooks.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { createLanes } from './lanes.ts'
import { isWell, type Probe, release } from './probe.ts'
import { chooseProvider } from './provider.ts'
import { presentCheck } from './status.ts'

/** For the way to the plugin and back, and for waiting there, on top of the longest timeout in the batch. */
const crossingMs = 5_000
/** Checks that may wait longer than this travel apart from the others. */
const patientSeconds = 3

/** What the plugin says, or why nobody could be asked. */
export type Word = Answer<HealthResult> | string

export interface Asking {
  /** Marks them as under way. Those that are under way already are left out. */
  ask(probes: readonly Probe[]): void
  /** Resolves when nothing is under way; those that still waited are let go. */
  close(): Promise<void>
}

export interface AskingParts {
  readonly hooks: Pick<Hooks, 'providers' | 'first'>
  readonly log: Log
  /** Undefined when it is not to be probed any more. */
  readonly checkOf: (probe: Probe) => HealthCheck | undefined
  readonly isStarting: (probe: Probe, check: HealthCheck) => boolean
  readonly answered: (probe: Probe, word: Word) => void
}

export function createAsking({ hooks, log, checkOf, isStarting, answered }: AskingParts): Asking {
  const bounds = { batchItems: limits.batchItems, batchesInFlight: limits.probeBatchesInFlight }
  const lanes = createLanes<Probe>(bounds, (provider, batch) => call(provider, batch))

  /** The slow do not hold up the quick: neither those that do not answer, nor those that may take long to. */
  function kindOf(probe: Probe, check: HealthCheck): string {
    const starts = isStarting(probe, check)
    const { timeoutSeconds } = presentCheck(check, starts)
    const patience = timeoutSeconds > patientSeconds ? 'patient' : 'prompt'
    return `${starts ? 'starting' : isWell(probe) ? 'steady' : 'failing'} ${patience}`
  }

  async function call(provider: string, batch: readonly Probe[]): Promise<void> {
    const items: HealthInput[] = []
    const asked: Probe[] = []
    const endpoints: { host: string; port: number }[] = []
    let timeoutMs = 0
    for (const probe of batch) {
      const check = checkOf(probe)
      const { id, host, port } = probe.instance
      if (!check) {
        answered(probe, 'It is not probed any more.')
        continue
      }
      const present = presentCheck(check, isStarting(probe, check))
      asked.push(probe)
      items.push({ app: probe.app, instance: { id, host, port }, healthCheck: present })
      endpoints.push({ host, port: check.port ?? port })
      timeoutMs = Math.max(timeoutMs, present.timeoutSeconds * 1000)
    }
    if (items.length === 0) return
    const scope = { endpoints, timeoutMs: timeoutMs + crossingMs }
    const answers = await hooks.first('healthCheck', 'check', provider, items, scope).catch(asFailure)
    for (const [index, probe] of asked.entries()) {
      answered(probe, Array.isArray(answers) ? (answers[index] ?? 'The health check gave no answer.') : answers)
    }
  }

  /** The hooks room never throws; should it do so all the same, replicas keep their state. */
  function asFailure(thrown: unknown): string {
    log.error({ err: thrown }, 'health checks could not be sent')
    return 'The health check could not be sent.'
  }

  return {
    ask(probes) {
      const providers = hooks.providers('healthCheck')
      const groups = new Map<string, { provider: string; kind: string; probes: Probe[] }>()
      for (const probe of probes) {
        const check = checkOf(probe)
        if (!check || probe.isUnderWay) continue
        const choice = chooseProvider(providers, check.protocol)
        if ('problem' in choice) {
          answered(probe, choice.problem)
          continue
        }
        probe.isUnderWay = true
        const kind = kindOf(probe, check)
        const key = `${choice.instance} ${kind}`
        const group = groups.get(key)
        if (group) group.probes.push(probe)
        else groups.set(key, { provider: choice.instance, kind, probes: [probe] })
      }
      for (const group of groups.values()) lanes.add(group.provider, group.kind, group.probes)
    },
    async close() {
      for (const probe of await lanes.close()) release(probe)
    },
  }
}
