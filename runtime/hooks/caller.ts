/**
 * The one place that calls foreign code. Deadline, batching, checking of answers, breaker, blame and counting hang here, and
 * whatever goes wrong comes back as data.
 */
import { type HookKind, hookTable } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import type { ErrorCode } from '../errors.ts'
import { limits } from '../limits.ts'
import type { LiveInstance } from '../plugins/plugins.ts'
import type { CallOptions, GuestAnswer, SandboxIncident, SandboxInstance } from '../sandbox/sandbox.ts'
import { problemOfAnswer } from './answer-check.ts'
import { admit, afterFailure, afterSuccess, type Breaker, closedBreaker } from './breaker.ts'
import type { Answer, CallScope } from './hooks.ts'

/** An incident with the plugin it is blamed on. */
export interface BlamedIncident extends SandboxIncident {
  readonly plugin: string
  readonly version: string
}

export interface HookCall {
  readonly kind: HookKind
  readonly fn: string
  /** One JSON text for each item. */
  readonly items: readonly string[]
  /** The app of each item, in their order; of a single item all that it is about. '' stands for none. */
  readonly apps?: readonly string[]
  readonly scope: CallScope
}

export interface Caller {
  /** One answer for each item, in order. Never rejects. */
  call(instance: LiveInstance | undefined, name: string, call: HookCall): Promise<Answer<unknown>[]>
  breakerOf(plugin: string, instance: string): Breaker['state']
  resetBreaker(plugin: string, instance: string): void
}

/** Failures of calls that the plugin never saw. */
const unheard: ReadonlySet<ErrorCode> = new Set(['ORC_HOOK_OVERLOADED', 'ORC_HOOK_NOT_SERVING'])

const keyOf = (plugin: string, instance: string) => `${plugin} ${instance}`

/** The same complaint of the same hook is told once in this time. */
const repeatMs = 10_000

export function createCaller(deps: {
  clock: Clock
  onIncident: (incident: BlamedIncident) => void
  /** Hides what nobody is to read in answers: they are stored and shown (the reason of a vote, the message of a probe). */
  redactData?: <T>(data: T) => T
}): Caller {
  const { clock, onIncident, redactData = (data) => data } = deps
  const breakers = new Map<string, Breaker>()
  const toldAtMs = new Map<string, number>()

  function blame(
    instance: LiveInstance,
    hook: string,
    code: ErrorCode,
    message: string,
    more: Pick<SandboxIncident, 'app' | 'line' | 'action'> = {},
  ): void {
    const key = `${instance.name} ${hook} ${code} ${message}`
    const nowMs = clock.monotonic()
    if (nowMs - (toldAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < repeatMs) return
    if (toldAtMs.size > 1_000) toldAtMs.clear()
    toldAtMs.set(key, nowMs)
    const { plugin, version, name } = instance
    onIncident({ plugin, version, instance: name, hook, code, message, ...more, atMs: clock.now() })
  }

  /** Deaths are reported by the sandbox itself; what a living guest did wrong is only seen here. */
  function fail(
    instance: LiveInstance,
    hook: string,
    code: ErrorCode,
    message: string,
    more: Pick<SandboxIncident, 'app' | 'line'> = {},
  ): Answer<never> {
    if (code === 'ORC_SANDBOX_GUEST_ERROR') blame(instance, hook, code, message, more)
    if (code === 'ORC_HOOK_OUTPUT_INVALID' || code === 'ORC_SANDBOX_PROTOCOL')
      blame(instance, hook, code, message, { ...more, action: 'refused' })
    const { plugin, name } = instance
    return { ok: false, failure: { code, message, plugin, instance: name, hook, atMs: clock.now() } }
  }

  function check(instance: LiveInstance, call: HookCall, answer: GuestAnswer, index: number): Answer<unknown> {
    const { kind, fn } = call
    const hook = `${kind}.${fn}`
    const app = call.apps?.length === call.items.length ? call.apps[index] : undefined
    const about = app === undefined || app === '' ? {} : { app }
    if (!answer.ok) {
      const where = answer.line === undefined ? '' : ` at ${answer.line}`
      const more = answer.line === undefined ? about : { ...about, line: answer.line }
      return fail(instance, hook, answer.code, redactData(`${answer.message}${where}`), more)
    }
    const value = redactData(answer.value)
    const problem = problemOfAnswer(kind, fn, value)
    return problem === undefined ? { ok: true, value } : fail(instance, hook, 'ORC_HOOK_OUTPUT_INVALID', problem, about)
  }

  async function send(instance: LiveInstance, sandbox: SandboxInstance, call: HookCall): Promise<Answer<unknown>[]> {
    const { kind, fn, items, apps, scope } = call
    const functions = instance.hooks[kind]?.functions ?? []
    const endpoints = new Set<string>()
    for (const { host, port } of scope.endpoints ?? []) endpoints.add(`${host}:${port}`)
    const timeoutMs = Math.min(scope.timeoutMs ?? instance.limits.timeoutMs, instance.limits.timeoutMs)
    const options = (name: string, per: CallOptions['per']): CallOptions => ({
      hook: kind,
      function: name,
      per,
      timeoutMs,
      endpoints,
      eventDepth: scope.eventDepth,
      ...(apps === undefined ? {} : { apps }),
    })
    const table = hookTable[kind].functions as Record<string, { per: 'item' | 'call' }>
    if (functions.includes(fn)) {
      const answers = await sandbox.call(items, options(fn, table[fn]?.per ?? 'call'))
      return answers.map((answer, index) => check(instance, call, answer, index))
    }
    const all = `${fn}All`
    if (!functions.includes(all)) {
      const offered = functions.length === 0 ? 'nothing of it' : functions.join(', ')
      const message = `${instance.plugin} does not serve ${kind}.${fn}; it serves ${offered}`
      return items.map(() => fail(instance, `${kind}.${fn}`, 'ORC_HOOK_NOT_OFFERED', message))
    }
    const [answer] = await sandbox.call([`[${items.join(',')}]`], options(all, 'call'))
    if (answer === undefined || !answer.ok) {
      const failed = answer ?? { ok: false, code: 'ORC_SANDBOX_PROTOCOL', message: 'no answer' }
      return items.map((_, index) => check(instance, call, failed, index))
    }
    const values = answer.value
    if (!Array.isArray(values) || values.length !== items.length) {
      const message = `${kind}.${all} must answer a list of ${items.length}, one for each input`
      return items.map(() => fail(instance, `${kind}.${all}`, 'ORC_HOOK_OUTPUT_INVALID', message))
    }
    return values.map((value, index) => check(instance, call, { ok: true, value }, index))
  }

  async function callBatch(instance: LiveInstance, call: HookCall): Promise<Answer<unknown>[]> {
    const hook = `${call.kind}.${call.fn}`
    const key = keyOf(instance.plugin, instance.name)
    if (instance.sandbox === undefined) {
      const message = `${instance.plugin} is not serving; see: orchestry plugin show ${instance.plugin}`
      return call.items.map(() => fail(instance, hook, 'ORC_HOOK_NOT_SERVING', message))
    }
    const before = breakers.get(key) ?? closedBreaker
    // Rests are durations: a clock that is set back must not make one last for hours.
    const { isAdmitted, next } = admit(before, clock.monotonic())
    if (!isAdmitted) {
      const seconds = Math.max(0, Math.ceil((before.retryAtMs - clock.monotonic()) / 1_000))
      const message = `${instance.plugin} failed ${before.failures} times in a row; it is tried again in ${seconds} s`
      return call.items.map(() => fail(instance, hook, 'ORC_HOOK_BREAKER_OPEN', message))
    }
    breakers.set(key, next)
    const answers = await send(instance, instance.sandbox, call)
    const current = breakers.get(key) ?? closedBreaker
    // One app's bad data must not take the plugin from all others: only a call without any good answer counts.
    const isFailed = answers.length > 0 && answers.every((answer) => !answer.ok)
    // A call that only waited in our own queue, or met a restart, says nothing of the plugin.
    if (isFailed && answers.every((answer) => !answer.ok && unheard.has(answer.failure.code))) {
      // A probe that never arrived is still owed.
      if (current.state === 'halfOpen') breakers.set(key, before)
      return answers
    }
    const after = isFailed ? afterFailure(current, clock.monotonic()) : afterSuccess(current)
    breakers.set(key, after)
    if (after.state === 'open' && current.state !== 'open') {
      blame(instance, hook, 'ORC_HOOK_BREAKER_OPEN', `rests after ${after.failures} failed calls in a row`, {
        action: 'refused',
      })
    }
    return answers
  }

  return {
    async call(instance, name, call) {
      if (instance === undefined) {
        const message = `there is no plugin instance named ${name}; see: orchestry plugin list`
        const hook = `${call.kind}.${call.fn}`
        const failure = { plugin: name, instance: name, hook, message, atMs: clock.now() }
        return call.items.map(() => ({ ok: false, failure: { code: 'ORC_PLUGIN_UNKNOWN', ...failure } }))
      }
      if (call.items.length <= limits.batchItems) return callBatch(instance, call)
      const batches: Promise<Answer<unknown>[]>[] = []
      for (let from = 0; from < call.items.length; from += limits.batchItems) {
        const to = from + limits.batchItems
        const apps = call.apps && { apps: call.apps.slice(from, to) }
        batches.push(callBatch(instance, { ...call, ...apps, items: call.items.slice(from, to) }))
      }
      return (await Promise.all(batches)).flat()
    },
    breakerOf: (plugin, instance) => breakers.get(keyOf(plugin, instance))?.state ?? 'closed',
    resetBreaker: (plugin, instance) => {
      breakers.delete(keyOf(plugin, instance))
    },
  }
}
