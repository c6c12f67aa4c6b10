/**
 * TEST ONLY: the second implementation of the port `Sandbox`. It evaluates bundles in this very process, so it contains
 * nothing; it is for tests of rooms that need plugins which really run, and of the port itself.
 */

import { type ErrorCode, messageOf, OrchestryError } from '../../runtime/errors.ts'
import type {
  Bundle,
  Description,
  GuestAnswer,
  InstanceOptions,
  InstanceUsage,
  Invocation,
  PluginSandbox,
  Sandbox,
  SandboxIncident,
  SandboxInstance,
  SandboxState,
} from '../../runtime/sandbox/sandbox.ts'
import { capabilityOperations } from '../../sdk/operations.ts'

type Guest = Record<string, unknown>
// biome-ignore lint/complexity/noBannedTypes: a function of a guest can be any
type AnyFunction = Function

export interface InProcessPlugin {
  readonly bundle: Bundle
  readonly instances: string[]
  readonly state: SandboxState
  /** As if the process of the sandbox had died: every instance is opened again. */
  crash(): Promise<void>
  quarantine(): void
}

export interface InProcessSandbox extends Sandbox {
  /** Everything that was loaded and not closed yet. */
  readonly loaded: InProcessPlugin[]
}

export function createInProcessSandbox(): InProcessSandbox {
  const loaded: InProcessPlugin[] = []
  return {
    description: {
      engine: 'none',
      isolation: 'none (test)',
      node: process.versions.node,
      tier: 0,
      floor: 0,
      holds: [],
      lacks: [],
      tiers: [],
    },
    loaded,
    async load(bundle) {
      const { sandbox, control } = loadPlugin(bundle, () => loaded.splice(loaded.indexOf(control), 1))
      loaded.push(control)
      return sandbox
    },
    async close() {
      loaded.length = 0
    },
  }
}

function loadPlugin(bundle: Bundle, onClosed: () => void): { sandbox: PluginSandbox; control: InProcessPlugin } {
  const evaluate = () => {
    const module: { exports: Guest } = { exports: {} }
    // oxlint-disable-next-line typescript/no-implied-eval -- what a sandbox does with a bundle, without the sandbox
    new Function('module', 'exports', bundle.source)(module, module.exports)
    return module.exports.default as Guest
  }
  const plugin = evaluate()
  const open = new Map<string, { options: InstanceOptions; start(): Promise<void> }>()
  const incidentListeners = new Set<(incident: SandboxIncident) => void>()
  const stateListeners = new Set<(state: SandboxState) => void>()
  let state: SandboxState = 'serving'
  let restarts = 0
  const become = (next: SandboxState) => {
    state = next
    for (const listener of stateListeners) listener(next)
  }
  const report = (code: ErrorCode, message: string) => {
    for (const listener of incidentListeners) listener({ code, message, atMs: Date.now() })
  }
  const sandbox: PluginSandbox = {
    get state() {
      return state
    },
    get restarts() {
      return restarts
    },
    pid: process.pid,
    memoryMb: 0,
    describe: async () => JSON.parse(JSON.stringify(describe(plugin))) as Description,
    validateConfig: async (json) => (plugin.validateConfig as AnyFunction)(JSON.parse(json)) as string[],
    async open(options) {
      const instance = createInstance(evaluate, options, () => state === 'serving')
      await instance.start()
      open.set(options.name, { options, start: instance.start })
      return instance.sandbox
    },
    async reset() {
      become('serving')
    },
    onIncident(listener) {
      incidentListeners.add(listener)
      return () => incidentListeners.delete(listener)
    },
    onState(listener) {
      stateListeners.add(listener)
      return () => stateListeners.delete(listener)
    },
    async close() {
      if (state === 'closed') return
      become('closed')
      onClosed()
    },
  }
  const control: InProcessPlugin = {
    bundle,
    get instances() {
      return [...open.keys()]
    },
    get state() {
      return state
    },
    async crash() {
      report('ORC_SANDBOX_CRASHED', 'the sandbox ended by SIGKILL')
      become('restarting')
      for (const { options, start } of open.values()) {
        options.onReopen?.()
        await start()
      }
      restarts += 1
      become('serving')
    },
    quarantine() {
      report('ORC_PLUGIN_QUARANTINED', 'it died too often')
      become('quarantined')
    },
  }
  return { sandbox, control }
}

function describe(plugin: Guest): Description {
  const hooks: Record<string, Description['hooks'][string]> = {}
  const lifecycle: string[] = []
  for (const [key, value] of Object.entries(plugin)) {
    if (typeof value === 'function') lifecycle.push(key)
    else if (key !== 'config' && typeof value === 'object' && value !== null) {
      const members = Object.entries(value)
      hooks[key] = {
        functions: members.filter(([, part]) => typeof part === 'function').map(([name]) => name),
        declares: Object.fromEntries(members.filter(([, part]) => typeof part !== 'function')),
      }
    }
  }
  const schema = plugin.config as Record<string, unknown> | undefined
  return { hooks, lifecycle, ...(schema === undefined ? {} : { configSchema: schema }) }
}

function createInstance(evaluate: () => Guest, options: InstanceOptions, isServing: () => boolean) {
  const config: unknown = JSON.parse(options.configJson)
  let plugin: Guest = {}
  let timers = new Map<string, AnyFunction>()
  const usage = {
    calls: 0,
    errors: 0,
    cpuMs: 0,
    wallMs: 0,
    heapMb: 0,
    peakHeapMb: 0,
    hostCalls: 0,
    bytesIn: 0,
    bytesOut: 0,
    drops: 0,
  }

  const contextFor = (invocation: Invocation) => {
    const ask = async (operation: string, args: unknown[]) => {
      usage.hostCalls += 1
      return JSON.parse(await options.onHostCall(operation, JSON.stringify(args), invocation)) as unknown
    }
    const bindings = Object.entries(options.bindings).map(([name, kind]) => {
      if (kind === 'clock') return [name, { now: () => Date.now() }] as const
      if (kind === 'random') return [name, { next: () => Math.random() }] as const
      const operations = capabilityOperations[kind as keyof typeof capabilityOperations]
      const functions = operations.map((operation) => {
        const full = `${name}.${operation}`
        if (kind === 'log')
          return [operation, (message: string, fields?: unknown) => void ask(full, [message, fields ?? null])] as const
        if (kind === 'timers' && operation !== 'cancel')
          return [
            operation,
            async (ms: number, run: AnyFunction) => {
              const id = String(await ask(full, [ms]))
              timers.set(id, run)
              return id
            },
          ] as const
        return [operation, (...args: unknown[]) => ask(full, args)] as const
      })
      return [name, Object.fromEntries<unknown>(functions)] as const
    })
    const has = (name: string) => options.bindings[name] !== undefined
    return { ...Object.fromEntries<unknown>(bindings), has, instance: options.name }
  }

  const hold = (reason: string) => ({ hold: true, reason })
  const invocationOf = (hook: string, timeoutMs: number, endpoints: ReadonlySet<string> = new Set()): Invocation => ({
    hook,
    endpoints,
    deadlineMs: performance.now() + timeoutMs,
  })

  const sandbox: SandboxInstance = {
    name: options.name,
    usage: (): InstanceUsage => ({ ...usage }),
    usageByHook: () => [],
    usageRows: () => [],
    async dispose() {
      const ctx = contextFor(invocationOf('lifecycle', 1_000))
      if (typeof plugin.dispose === 'function') await plugin.dispose(ctx)
    },
    async call(items, call) {
      usage.calls += 1
      const refusal: GuestAnswer = { ok: false, code: 'ORC_HOOK_NOT_SERVING', message: 'the plugin is not serving' }
      if (!isServing()) return items.map(() => refusal)
      const ctx = contextFor(invocationOf(call.hook, call.timeoutMs, call.endpoints))
      const runItem = async (json: string): Promise<unknown> => {
        const item = JSON.parse(json) as unknown
        if (call.hook === 'timers') return await timers.get(String(item))?.()
        const hook = plugin[call.hook] as Record<string, AnyFunction>
        if (call.per === 'item') return await hook[call.function]?.({ ...(item as object), config, ctx, hold })
        return await hook[call.function]?.(item, { config, ctx, hold })
      }
      return await Promise.all(items.map(async (json) => answerOf(() => runItem(json), call.timeoutMs)))
    },
  }
  return {
    sandbox,
    async start() {
      plugin = evaluate()
      timers = new Map()
      if (typeof plugin.activate !== 'function') return
      try {
        await plugin.activate(contextFor(invocationOf('activate', 2_000)), config)
      } catch (thrown) {
        throw new OrchestryError('ORC_PLUGIN_ACTIVATE_FAILED', messageOf(thrown))
      }
    },
  }
}

async function answerOf(run: () => Promise<unknown>, timeoutMs: number): Promise<GuestAnswer> {
  const late = Promise.withResolvers<GuestAnswer>()
  const timer = setTimeout(() => {
    late.resolve({ ok: false, code: 'ORC_SANDBOX_TIMEOUT', message: `no answer within ${timeoutMs} ms` })
  }, timeoutMs)
  const answer = run().then(
    (value): GuestAnswer => ({ ok: true, value: JSON.parse(JSON.stringify(value ?? null)) }),
    (thrown): GuestAnswer => ({ ok: false, code: 'ORC_SANDBOX_GUEST_ERROR', message: messageOf(thrown) }),
  )
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
