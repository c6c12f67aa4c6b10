/**
 * Runs a plugin without Orchestry, as Orchestry would: the same checks of config and answers, the same errors by the same codes,
 * data that crosses as JSON, and a `ctx` that holds exactly what the test grants.
 *
 * What only a real sandbox can do is not here: an endless loop hangs the test, memory is not counted, and `Date.now()` and
 * `Math.random()` work although no `clock` or `random` was granted.
 *
 * @example
 * import { createHarness } from '@orchestry/sdk/testing'
 * import plugin from './plugin.ts'
 *
 * const harness = createHarness(plugin, { config: { jobsPerReplica: 10 } })
 * const vote = await harness.decide({ app: { replicas: 2 }, metrics: { queueDepth: 95 } })
 * // { replicas: 10, reason: '95 jobs' }
 * await harness.dispose()
 *
 * @module
 */
import type { Static, TSchema } from 'typebox'
import type { CapabilityKind, Context } from './capabilities.ts'
import type { HookFunction, HookInput, HookKind, HookOutput } from './hooks.ts'
import type { Vote } from './model.ts'
import type { PluginDefinition } from './plugin.ts'
import { type ScalerCase, scalerInput } from './testing-case.ts'
import {
  checkAnswer,
  checkConfig,
  checkInput,
  failed,
  functionOf,
  guarded,
  type Outcome,
  PluginFailure,
  settled,
  spread,
} from './testing-check.ts'
import { createSteppedClock } from './testing-clock.ts'
import { createContext, type Grants, type Recorded } from './testing-context.ts'

export { type ScalerCase, scalerInput } from './testing-case.ts'
export { checkConfig, type FailureCode, type Outcome, PluginFailure } from './testing-check.ts'
export type { Grants, NetFixture, NetFixtures, Recorded } from './testing-context.ts'
export type { ExecFixture, ExecFixtures, FilesFixtures, RanCommand } from './testing-machine.ts'
export type { GrpcFixture, GrpcFixtures, RedisFixture, RedisFixtures } from './testing-servers.ts'
export type { StreamFixture, StreamFixtures } from './testing-streams.ts'

export interface HarnessOptions {
  /** As an operator would write it; defaults are filled in from the schema. */
  readonly config?: unknown
  /** Default: nothing is granted. */
  readonly grants?: Grants
  /** Other names of bindings, as with `as` in the manifest: `{ slack: 'net' }` makes it `ctx.slack`. */
  readonly as?: Readonly<Record<string, CapabilityKind>>
  /** Name of the instance; default `default`. */
  readonly instance?: string
  /** Where the clock stands at first, in milliseconds since the epoch; default 2026-01-01. */
  readonly nowMs?: number
  /** How long a promise may take, in real time; default 1000. */
  readonly timeoutMs?: number
  /** Largest answer of one call, in KB; default 512. */
  readonly outKb?: number
}

export interface Harness<C = unknown> extends Recorded {
  /** Complete with the defaults of its schema. */
  readonly config: C
  readonly ctx: Context
  /** Milliseconds since the epoch on the clock of the test. */
  now(): number
  /** Moves the clock on and runs the plugin's timers that fall due. */
  advance(ms: number): Promise<void>
  /** Runs the plugin's `activate`, once. Every call does so first if the test has not. @throws PluginFailure */
  activate(): Promise<void>
  /** Runs the plugin's `dispose`, if it was activated. */
  dispose(): Promise<void>
  /** Asks the scaler about one app. @throws PluginFailure */
  decide(input: ScalerCase): Promise<Vote>
  /** Asks the scaler about many apps in one call, as the host does; each has its own outcome. */
  decideBatch(inputs: readonly ScalerCase[]): Promise<Outcome<Vote>[]>
  /** Calls any hook function with one payload. @throws PluginFailure */
  call<K extends HookKind, F extends HookFunction<K>>(
    kind: K,
    fn: F,
    payload: HookInput<K, F>,
  ): Promise<HookOutput<K, F>>
  /** Calls a batched hook function (`per: 'item'`) with many items; each has its own outcome. */
  batch<K extends HookKind, F extends HookFunction<K>>(
    kind: K,
    fn: F,
    items: readonly HookInput<K, F>[],
  ): Promise<Outcome<HookOutput<K, F>>[]>
}

/**
 * Makes a harness around a plugin.
 *
 * @throws PluginFailure `ORC_PLUGIN_CONFIG_INVALID` when the config does not fit; `problems` names every fault.
 */
export function createHarness<S extends TSchema>(
  plugin: PluginDefinition<S>,
  options: HarnessOptions = {},
): Harness<Static<S>> {
  const { grants = {}, as = {}, instance = 'default', nowMs = Date.UTC(2026, 0, 1), timeoutMs = 1_000 } = options
  const outChars = (options.outKb ?? 512) * 1024
  const { config, problems } = checkConfig(plugin, options.config)
  if (problems.length > 0) throw new PluginFailure('ORC_PLUGIN_CONFIG_INVALID', problems.join('; '), problems)
  const clock = createSteppedClock(nowMs)
  const recorded: Recorded = {
    logs: [],
    requests: [],
    kv: new Map(),
    events: [],
    samples: [],
    scaled: [],
    upstreams: new Map(),
    files: new Map(),
    commands: [],
  }
  const ctx = createContext({ grants, as, instance, clock, recorded })
  const tools = { config: deepFreeze(config), ctx, hold }
  let activated: Promise<void> | undefined

  function activate(): Promise<void> {
    activated ??= guarded(() => plugin.activate?.(ctx, tools.config as never), timeoutMs).then(
      () => undefined,
      (error: PluginFailure) => {
        throw new PluginFailure('ORC_PLUGIN_ACTIVATE_FAILED', error.message)
      },
    )
    return activated
  }

  /** Items in, one outcome for each; a list function stands in for a single one that is not there, as in the host. */
  async function run(kind: HookKind, fn: string, items: readonly unknown[]): Promise<Outcome<never>[]> {
    const texts = items.map((item) => checkInput(kind, fn, item))
    await activate()
    const hook = (plugin as Record<string, unknown>)[kind] as Record<string, unknown> | undefined
    const isSingle = typeof hook?.[fn] === 'function'
    const name = isSingle ? fn : `${fn}All`
    const found = hook?.[name]
    if (hook === undefined || typeof found !== 'function') {
      const offered = Object.keys(hook ?? {}).filter((key) => typeof hook?.[key] === 'function')
      const message = `the plugin does not serve ${kind}.${fn}; it serves ${offered.join(', ') || 'nothing of it'}`
      return items.map(() => failed(new PluginFailure('ORC_HOOK_NOT_OFFERED', message)))
    }
    const invoke = (input: unknown, second?: unknown) =>
      guarded(() => Reflect.apply(found, hook, second === undefined ? [input] : [input, second]), timeoutMs)
    const answers = isSingle
      ? await Promise.all(texts.map((text) => settled(() => invoke(...argumentsOf(kind, fn, JSON.parse(text), tools)))))
      : spread(await settled(() => invoke(JSON.parse(`[${texts.join(',')}]`), tools)), `${kind}.${name}`, items.length)
    // The host waits for a call as a whole: one item that is late takes the others with it.
    const late = answers.find((answer) => !answer.ok && answer.failure.code === 'ORC_SANDBOX_TIMEOUT')
    if (late !== undefined && !late.ok) return items.map(() => late)
    const size = answers.reduce((sum, answer) => sum + (answer.ok ? answer.value.length : 0), 0)
    if (size > outChars) {
      const message = 'the plugin answered more than its limit'
      return items.map(() => failed(new PluginFailure('ORC_SANDBOX_RESULT_TOO_LARGE', message)))
    }
    return answers.map((answer) => (answer.ok ? checkAnswer(kind, fn, answer.value) : answer))
  }

  async function one(kind: HookKind, fn: string, payload: unknown): Promise<never> {
    const [outcome] = await run(kind, fn, [payload])
    if (outcome === undefined) throw new Error('a call without an outcome')
    if (!outcome.ok) throw outcome.failure
    return outcome.value
  }

  return {
    ...recorded,
    config: tools.config as never,
    ctx,
    now: clock.now,
    advance: clock.advance,
    activate,
    async dispose() {
      if (activated === undefined) return
      activated = undefined
      await guarded(() => plugin.dispose?.(ctx), timeoutMs)
    },
    decide: (input) => one('scaler', 'decide', scalerInput(input)),
    decideBatch: (inputs) => run('scaler', 'decide', inputs.map(scalerInput)),
    call: (kind, fn, payload) => one(kind, fn, payload),
    batch: (kind, fn, items) => run(kind, fn, items),
  }
}

const hold = (reason: unknown) => ({ hold: true as const, reason: String(reason).slice(0, 500) })

function argumentsOf(kind: HookKind, fn: string, input: unknown, tools: object): [unknown, unknown?] {
  const { per } = functionOf(kind, fn)
  return per === 'item' ? [Object.assign(input as object, tools)] : [input, tools]
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(value)) deepFreeze(part)
  return Object.freeze(value)
}
