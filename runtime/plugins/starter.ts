/** Brings one version of a plugin up beside whatever runs already: everything that can fail, fails here, and is undone here. */
import type { CapabilityRecord, Manifest } from '@orchestry/sdk'
import type { Bound, CapabilityTable, CapabilityUsage, Violation } from '../capabilities/capability.ts'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { type EffectiveLimits, effectiveLimits, type LimitPolicy } from '../limits.ts'
import type { Description, PluginSandbox, Sandbox, SandboxIncident, SandboxInstance } from '../sandbox/sandbox.ts'
import { createBlame } from './blame.ts'
import type { CompiledBundle } from './bundle.ts'
import { configInvalid, readConfig } from './config.ts'
import { descriptionProblems } from './description.ts'
import { refuseBelowFloor } from './floor.ts'
import { resolveGrants } from './grants.ts'
import { bindingOf } from './manifest.ts'
import type { InstanceRecord, LockEntry } from './plugins.ts'
import { problemsText } from './problems.ts'

/** A version that is to run: what the lock knows of it before it was ever started. */
export type Wanted = Pick<LockEntry, 'id' | 'version' | 'source' | 'manifest' | 'isJitGranted'> & {
  readonly bundle: CompiledBundle
}
export type WantedInstance = Pick<InstanceRecord, 'name' | 'given' | 'isDefault'>

/** Loaded, described, and with no power yet. */
export interface Loaded {
  readonly wanted: Wanted
  readonly limits: EffectiveLimits
  readonly sandbox: PluginSandbox
  readonly description: Description
}

export interface Running extends Loaded {
  readonly records: readonly InstanceRecord[]
  readonly instances: ReadonlyMap<string, { readonly sandbox: SandboxInstance; readonly bound: Bound }>
  /** Lets calls under way end, then disposes. Idempotent. */
  close(): Promise<void>
}

export interface Starter {
  load(wanted: Wanted): Promise<Loaded>
  /** The instance with its config complete and its grants resolved and pinned; nothing is started. */
  settle(loaded: Loaded, instance: WantedInstance): Promise<InstanceRecord>
  /** Closes what it was given when it fails. */
  open(loaded: Loaded, records: readonly InstanceRecord[], report: Report): Promise<Running>
}
export type Report = (incident: SandboxIncident) => void

const drainSlackMs = 200

export function createStarter(deps: {
  sandbox: Pick<Sandbox, 'load' | 'description'>
  capabilities: CapabilityTable
  clock: Clock
  limitPolicy?: LimitPolicy
  /** What the instance used before: counting goes on from there. */
  usedBefore?: (plugin: string, instance: string) => readonly CapabilityUsage[]
}): Starter {
  const { capabilities, clock } = deps

  async function openOne(loaded: Loaded, record: InstanceRecord, report: Report) {
    const { wanted, limits, sandbox } = loaded
    const opened = Promise.withResolvers<SandboxInstance>()
    // A timer may be due while `activate` still runs.
    opened.promise.catch(() => {})
    const fire = async (timerId: string, eventDepth?: number) => {
      const instance = await opened.promise
      const options = {
        hook: 'timers',
        function: 'fire',
        per: 'call',
        timeoutMs: limits.timeoutMs,
        eventDepth,
      } as const
      const [answer] = await instance.call([JSON.stringify(timerId)], options)
      if (answer?.ok !== false) return
      const place = answer.line === undefined ? '' : ` (${blame(answer.line)})`
      const line = answer.line === undefined ? {} : { line: blame(answer.line) }
      report({ ...about('timers'), ...line, code: answer.code, message: `${answer.message}${place}` })
    }
    const about = (hook: string) => ({ ...(hook === '' ? {} : { hook }), instance: record.name, atMs: clock.now() })
    const usedBefore = deps.usedBefore?.(wanted.id, record.name) ?? []
    const caller = { plugin: wanted.id, instance: record.name, limits, fire, usedBefore }
    const onViolation = ({ operation, hook, message }: Violation) =>
      report({ ...about(hook), code: 'ORC_CAPABILITY_DENIED', message: `${operation}: ${message}`, action: 'refused' })
    const bound = capabilities.bind(record.grants, caller, onViolation)
    const blame = createBlame(wanted.bundle.map)
    try {
      const instance = await sandbox.open({
        name: record.name,
        configJson: JSON.stringify(record.config),
        bindings: bound.bindings,
        onHostCall: bound.onHostCall,
        onReopen: () => bound.reset(),
      })
      opened.resolve(instance)
      return { sandbox: instance, bound }
    } catch (thrown) {
      opened.reject(thrown)
      bound.dispose()
      throw thrown
    }
  }

  /** What a program holds is looked at only now; what is wrong with it is told like anything else that cannot be granted. */
  async function pin({ id, manifest }: Wanted, grant: CapabilityRecord): Promise<CapabilityRecord> {
    try {
      return await capabilities.pin(grant)
    } catch (thrown) {
      if (!(thrown instanceof OrchestryError)) throw thrown
      const index = (manifest.capabilities ?? []).findIndex((asked) => bindingOf(asked) === bindingOf(grant))
      const problem = { path: `/orchestry/capabilities/${index}`, message: thrown.message }
      const detail = `${id} asks for what cannot be granted: ${problem.path}: ${problem.message} Nothing was changed.`
      throw new OrchestryError(thrown.code, detail, { problems: [problem] })
    }
  }

  return {
    async load(wanted) {
      refuseBelowFloor(wanted, deps.sandbox.description)
      const { id, version, bundle } = wanted
      const limits = effectiveLimits(wanted.manifest.limits, wanted.isJitGranted, deps.limitPolicy)
      const sandbox = await deps.sandbox.load({ plugin: id, version, source: bundle.source, hash: bundle.hash }, limits)
      try {
        const description = await sandbox.describe()
        const problems = descriptionProblems(description)
        if (problems.length > 0)
          throw new OrchestryError(
            'ORC_PLUGIN_MANIFEST_INVALID',
            `${id}, in what definePlugin was given: ${problemsText(problems)} Nothing was changed.`,
            { problems },
          )
        return { wanted, limits, sandbox, description }
      } catch (thrown) {
        await sandbox.close()
        throw thrown
      }
    },

    async settle({ wanted, sandbox, description }, { name, given, isDefault }) {
      const config = await readConfig(wanted.id, description.configSchema, given)
      if (description.lifecycle.includes('validateConfig')) {
        const complaints = await sandbox.validateConfig(JSON.stringify(config))
        if (complaints.length > 0)
          throw configInvalid(
            wanted.id,
            complaints.map((message) => ({ path: '', message })),
          )
      }
      const { grants, problems } = resolveGrants(wanted.manifest.capabilities ?? [], config, capabilities)
      if (problems.length > 0) throw grantsInvalid(wanted.id, wanted.manifest, problems)
      const pinned = await Promise.all(grants.map((grant) => pin(wanted, grant)))
      return { name, config, ...(given === undefined ? {} : { given }), grants: pinned, isDefault }
    },

    async open(loaded, records, report) {
      const instances = new Map<string, { sandbox: SandboxInstance; bound: Bound }>()
      const calls = createCallCount()
      const blame = createBlame(loaded.wanted.bundle.map)
      const closeAll = async () => {
        for (const { bound } of instances.values()) bound.dispose()
        await loaded.sandbox.close()
      }
      try {
        for (const record of records) {
          const { sandbox, bound } = await openOne(loaded, record, report)
          instances.set(record.name, { sandbox: calls.counted(sandbox, blame), bound })
        }
      } catch (thrown) {
        await closeAll()
        throw thrown
      }
      let closing: Promise<void> | undefined
      const drainAndClose = async () => {
        const drained = new AbortController()
        const patience = clock.sleep(loaded.limits.timeoutMs + drainSlackMs, drained.signal)
        await Promise.race([calls.idle(), patience])
        drained.abort()
        // `dispose` of the plugin still has its grants.
        await Promise.allSettled([...instances.values()].map((instance) => instance.sandbox.dispose()))
        await closeAll()
      }
      return { ...loaded, records, instances, close: () => (closing ??= drainAndClose()) }
    },
  }
}

function grantsInvalid(id: string, manifest: Manifest, problems: readonly { path: string; message: string }[]) {
  const isFromConfig = JSON.stringify(manifest.capabilities ?? []).includes('${')
  return new OrchestryError(
    isFromConfig ? 'ORC_PLUGIN_CONFIG_INVALID' : 'ORC_PLUGIN_MANIFEST_INVALID',
    `${id} asks for what cannot be granted: ${problemsText(problems)} Nothing was changed.`,
    { problems },
  )
}

/** Knows when no call is under way, and gives failures the place in the author's own file. */
function createCallCount() {
  let underWay = 0
  const waiting = new Set<() => void>()
  return {
    idle: () => (underWay === 0 ? Promise.resolve() : new Promise<void>((resolve) => waiting.add(resolve))),
    counted: (instance: SandboxInstance, blame: (place: string) => string): SandboxInstance => ({
      name: instance.name,
      usage: () => instance.usage(),
      usageByHook: () => instance.usageByHook(),
      usageRows: () => instance.usageRows(),
      dispose: () => instance.dispose(),
      async call(items, options) {
        underWay += 1
        try {
          const answers = await instance.call(items, options)
          return answers.map((answer) =>
            answer.ok || answer.line === undefined ? answer : { ...answer, line: blame(answer.line) },
          )
        } finally {
          underWay -= 1
          if (underWay === 0) for (const resolve of waiting) resolve()
        }
      },
    }),
  }
}
