/**
 * The only code of ours inside an isolate. It is evaluated before the plugin, holds the one function that leaves the isolate
 * (`post`) in its closure, and hands the sandbox process four entry points. Only strings and numbers cross, either way.
 *
 * Everything it uses of the language is taken into constants first; after `harden` the originals are frozen anyway.
 */
import { capabilityOperations } from '@orchestry/sdk/operations'
import { limits } from '../../limits.ts'
import { harden } from './harden.ts'

/** Sends one text out: `r` = answer of a call, `h` = host call. False when its bytes are more than a frame may have. */
export type Post = (kind: 'r' | 'h', call: number, request: number, operation: string, json: string) => boolean

type Tools = { config: unknown; ctx: object; hold: (reason: string) => object }
type Pending = { resolve: (value: unknown) => void; reject: (error: unknown) => void }
type Guest = Record<string, unknown>
/** The calls in whose name one `ctx` may act: the one it was made for, and timers that were started through it. */
type Turn = { calls: number[] }
type Timer = { run: () => unknown; turn: Turn; isOnce: boolean }

const { parse, stringify } = JSON
const { apply, ownKeys } = Reflect
const { freeze, defineProperty, create, hasOwn } = Object
const isArray = Array.isArray
const text = String
const resolvePromise = (value: unknown): Promise<unknown> => Promise.resolve(value)
const { then } = Promise.prototype
const PromiseConstructor = Promise
const ErrorConstructor = Error
const slice = String.prototype.slice
const CompileFunction = Function
const pendingCalls = new Map<number, Pending>()
const mapGet = Map.prototype.get
const mapSet = Map.prototype.set
const mapHas = Map.prototype.has
const mapDelete = Map.prototype.delete
const fround = Math.imul

const maxTextLength = 500
const cut = (value: string, length = maxTextLength): string => apply(slice, value, [0, length]) as string

/** Bounded words for anything a guest throws. Runs guest getters, so only ever inside a deadline. */
function render(thrown: unknown): string {
  try {
    if (typeof thrown !== 'object' || thrown === null) return cut(text(thrown))
    const { name, message, stack } = thrown as { name?: unknown; message?: unknown; stack?: unknown }
    const words = `${typeof name === 'string' ? name : 'Error'}: ${typeof message === 'string' ? message : ''}`
    const place = typeof stack === 'string' ? firstFrame(stack) : ''
    return cut(place === '' ? words : `${cut(words, 400)} (${place})`)
  } catch {
    return 'an error that cannot be shown'
  }
}

const frame = /plugin\.js:(\d+):(\d+)/
const exec = RegExp.prototype.exec
/** Line and column in the bundle; the host maps them back to the source. */
function firstFrame(stack: string): string {
  const match = apply(exec, frame, [cut(stack, 2_000)]) as RegExpExecArray | null
  return match === null ? '' : `plugin.js:${match[1]}:${match[2]}`
}

export function start(post: Post, hostCallLimit: number, outLimit: number) {
  const state = {
    plugin: undefined as Guest | undefined,
    config: undefined as unknown,
    bindings: create(null) as Record<string, string>,
    instance: '',
    nowMs: 0,
    randomState: 1,
    hasClock: false,
    hasRandom: false,
    nextRequest: 1,
    /** Of the calls that are under way: how many host calls each has made. */
    hostCalls: new Map<number, number>(),
    /** Of the same calls: the characters of all arguments so far. */
    sent: new Map<number, number>(),
    timers: new Map<string, Timer>(),
  }

  harden({
    now() {
      if (!state.hasClock) throw new ErrorConstructor(missing('clock'))
      return state.nowMs
    },
    random() {
      if (!state.hasRandom) throw new ErrorConstructor(missing('random'))
      return nextRandom()
    },
  })

  function missing(kind: string): string {
    return `ctx.${kind} was not granted: add { "kind": "${kind}" } to orchestry.capabilities in package.json`
  }

  /** mulberry32: small, and the same numbers for the same seed wherever it is replayed. */
  function nextRandom(): number {
    state.randomState = (state.randomState + 0x6d2b79f5) | 0
    let bits = fround(state.randomState ^ (state.randomState >>> 15), 1 | state.randomState)
    bits = (bits + fround(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296
  }

  function enter(nowMs: number, seed: number): void {
    state.nowMs = nowMs
    if (seed !== 0) state.randomState = seed | 0
  }

  /** One host call: counted here, where a flood costs nobody else anything, and again in the host. */
  function ask(call: number, operation: string, args: unknown[]): Promise<unknown> {
    const before = apply(mapGet, state.hostCalls, [call]) as number | undefined
    // Nobody may act in the name of a call that was answered; the host takes whoever tries for a forgery.
    if (before === undefined) return refused(`${operation}: its hook call is over`)
    const made = before + 1
    if (made > hostCallLimit) {
      throw new ErrorConstructor(`${operation}: more than ${hostCallLimit} host calls in one call (limits.hostCalls)`)
    }
    apply(mapSet, state.hostCalls, [call, made])
    const json = stringify(args)
    const tooLarge = `${operation}: arguments larger than limits.outKb`
    if (json.length > outLimit) throw new ErrorConstructor(tooLarge)
    if (!spend(call, json))
      throw new ErrorConstructor(`${operation}: more arguments in one call than a plugin may send`)
    const request = state.nextRequest
    state.nextRequest += 1
    const answer = new PromiseConstructor((resolve, reject) => {
      apply(mapSet, pendingCalls, [request, { resolve, reject }])
    })
    if (post('h', call, request, operation, json)) return answer
    apply(mapDelete, pendingCalls, [request])
    throw new ErrorConstructor(tooLarge)
  }

  function spend(call: number, json: string): boolean {
    const sent = ((apply(mapGet, state.sent, [call]) as number | undefined) ?? 0) + json.length
    if (sent > limits.hostCallCharacters) return false
    apply(mapSet, state.sent, [call, sent])
    return true
  }

  function refused(message: string): Promise<never> {
    const error = new ErrorConstructor(message)
    defineProperty(error, 'code', { value: 'ORC_CAPABILITY_DENIED', enumerable: true })
    return new PromiseConstructor((_resolve, reject) => reject(error))
  }

  /** Log lines want no answer: nothing waits, nothing is kept. */
  function tell(call: number, operation: string, args: unknown[]): void {
    const made = ((apply(mapGet, state.hostCalls, [call]) as number | undefined) ?? hostCallLimit) + 1
    if (made > hostCallLimit) return
    apply(mapSet, state.hostCalls, [call, made])
    const json = stringify(args)
    if (json.length <= outLimit && spend(call, json)) post('h', call, 0, operation, json)
  }

  const isUnderWay = (call: number): boolean => apply(mapHas, state.hostCalls, [call]) as boolean

  function callOf({ calls }: Turn): number {
    for (let index = 0; index < calls.length; index += 1) {
      if (isUnderWay(calls[index] as number)) return calls[index] as number
    }
    return 0
  }

  function bind(name: string, kind: string, turn: Turn): object {
    if (kind === 'clock') return freeze({ now: () => state.nowMs })
    if (kind === 'random') return freeze({ next: nextRandom })
    const binding = create(null) as Record<string, unknown>
    const operations = capabilityOperations[kind as keyof typeof capabilityOperations] as readonly string[] | undefined
    for (let index = 0; index < (operations?.length ?? 0); index += 1) {
      const operation = operations?.[index] as string
      const full = `${name}.${operation}`
      binding[operation] =
        kind === 'log'
          ? (message: unknown, fields?: unknown) =>
              tell(callOf(turn), full, [cut(text(message), 16_384), fields ?? null])
          : kind === 'timers' && operation !== 'cancel'
            ? (ms: unknown, run: () => unknown) => startTimer(turn, full, ms, run, operation === 'after')
            : (...args: unknown[]) => ask(callOf(turn), full, args)
    }
    return freeze(binding)
  }

  async function startTimer(turn: Turn, operation: string, ms: unknown, run: () => unknown, isOnce: boolean) {
    if (typeof run !== 'function') throw new ErrorConstructor(`${operation}(ms, run): run must be a function`)
    const id = text(await ask(callOf(turn), operation, [ms]))
    apply(mapSet, state.timers, [id, { run, turn, isOnce }])
    return id
  }

  /** What the function of a timer does through its `ctx`, it does in the name of this call: the one that made it is over. */
  function fire(call: number, id: string): string | undefined {
    const timer = apply(mapGet, state.timers, [id]) as Timer | undefined
    if (timer === undefined) return '[[1,null]]'
    if (timer.isOnce) apply(mapDelete, state.timers, [id])
    const calls: number[] = []
    for (let index = 0; index < timer.turn.calls.length; index += 1) {
      const earlier = timer.turn.calls[index] as number
      if (isUnderWay(earlier)) calls[calls.length] = earlier
    }
    calls[calls.length] = call
    timer.turn.calls = calls
    return gather(call, [timer.run])
  }

  /** What was granted, made anew for each call so that a host call is always told which hook call it belongs to. */
  function context(call: number): object {
    const ctx = create(null) as Record<string, unknown>
    const turn: Turn = { calls: [call] }
    for (const kind of ownKeys(capabilityOperations) as string[]) {
      defineProperty(ctx, kind, {
        configurable: true,
        get() {
          throw new ErrorConstructor(missing(kind))
        },
      })
    }
    for (const name of ownKeys(state.bindings) as string[]) {
      let bound: object | undefined
      defineProperty(ctx, name, {
        configurable: true,
        enumerable: true,
        get() {
          bound ??= bind(name, state.bindings[name] as string, turn)
          return bound
        },
      })
    }
    ctx.has = (name: string) => hasOwn(state.bindings, name)
    ctx.instance = state.instance
    return freeze(ctx)
  }

  const hold = (reason: unknown) => ({ hold: true, reason: cut(text(reason)) })
  const tools = (call: number): Tools => ({ config: state.config, ctx: context(call), hold })

  /** A slot of an answer: `[1, value]` or `[0, words]`. Stringified apart, so that one bad value spoils only itself. */
  function slot(value: unknown): string {
    try {
      return `[1,${stringify(value === undefined ? null : value) ?? 'null'}]`
    } catch (thrown) {
      return failed(thrown)
    }
  }
  const failed = (thrown: unknown): string => `[0,${stringify(render(thrown))}]`

  function isPromise(value: unknown): boolean {
    return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  }

  /** Runs `work`, and tells the slot it ends in: at once when it is synchronous. */
  function settle(work: () => unknown, done: (slot: string) => void): void {
    try {
      const value = work()
      if (!isPromise(value)) return done(slot(value))
      apply(then, resolvePromise(value), [
        (result: unknown) => done(slot(result)),
        (thrown: unknown) => done(failed(thrown)),
      ])
    } catch (thrown) {
      done(failed(thrown))
    }
  }

  /** Answers at once with the text when all work was synchronous, later through `post` when not. */
  function gather(call: number, works: (() => unknown)[]): string | undefined {
    apply(mapSet, state.hostCalls, [call, 0])
    const slots: string[] = []
    let open = works.length
    let isSynchronous = true
    for (let index = 0; index < works.length; index += 1) {
      const at = index
      settle(works[at] as () => unknown, (json) => {
        slots[at] = json
        open -= 1
        if (open === 0 && !isSynchronous) post('r', call, 0, '', answer(call, slots))
      })
    }
    isSynchronous = false
    return open === 0 ? answer(call, slots) : undefined
  }

  function answer(call: number, slots: string[]): string {
    apply(mapDelete, state.hostCalls, [call])
    apply(mapDelete, state.sent, [call])
    let json = '['
    for (let index = 0; index < slots.length; index += 1) json += index === 0 ? slots[index] : `,${slots[index]}`
    return json.length > outLimit ? `[[0,"answered more than limits.outKb"]]` : `${json}]`
  }

  function hookOf(kind: string, fn: string): (input: unknown, tools?: Tools) => unknown {
    const hook = state.plugin?.[kind] as Guest | undefined
    const run = hook?.[fn]
    if (typeof run !== 'function') throw new ErrorConstructor(`the plugin has no ${kind}.${fn}`)
    return (input, given) => apply(run, hook, [input, given])
  }

  return freeze({
    /** Runs the bundle's top level. Returns the description of what it declares. */
    load(source: string): string {
      try {
        const module: { exports: Guest } = { exports: {} }
        // Taken before `harden` poisoned it; the name is what stack frames are found by.
        const run = apply(CompileFunction, undefined, [
          'module',
          'exports',
          `"use strict";${source}\n//# sourceURL=plugin.js`,
        ])
        apply(run, undefined, [module, module.exports])
        const exported = module.exports.default ?? module.exports
        if (typeof exported !== 'object' || exported === null) {
          throw new ErrorConstructor('the entry has no default export: export default definePlugin({ … })')
        }
        state.plugin = exported as Guest
        return slot(describe(state.plugin))
      } catch (thrown) {
        return failed(thrown)
      }
    },

    open(call: number, nowMs: number, seed: number, instance: string, bindingsJson: string, configJson: string) {
      enter(nowMs, seed)
      state.instance = instance
      state.bindings = parse(bindingsJson) as Record<string, string>
      const kinds = ownKeys(state.bindings) as string[]
      for (let index = 0; index < kinds.length; index += 1) {
        const kind = state.bindings[kinds[index] as string]
        if (kind === 'clock') state.hasClock = true
        if (kind === 'random') state.hasRandom = true
      }
      state.config = deepFreeze(parse(configJson))
      const activate = state.plugin?.activate
      if (typeof activate !== 'function') return '[[1,null]]'
      return gather(call, [() => apply(activate, state.plugin, [context(call), state.config])])
    },

    validate(configJson: string): string {
      const check = state.plugin?.validateConfig
      if (typeof check !== 'function') return '[[1,[]]]'
      return `[${(() => {
        try {
          return slot(apply(check, state.plugin, [parse(configJson)]))
        } catch (thrown) {
          return failed(thrown)
        }
      })()}]`
    },

    call(call: number, nowMs: number, seed: number, kind: string, fn: string, per: string, itemsJson: string) {
      enter(nowMs, seed)
      const items = parse(itemsJson) as unknown[]
      if (kind === 'timers') return fire(call, text(items[0]))
      if (kind === 'lifecycle') {
        const dispose = state.plugin?.dispose
        if (typeof dispose !== 'function') return '[[1,null]]'
        return gather(call, [() => apply(dispose, state.plugin, [context(call)])])
      }
      const given = tools(call)
      const works: (() => unknown)[] = []
      for (let index = 0; index < items.length; index += 1) {
        const item = items[index]
        works[index] = () => {
          const run = hookOf(kind, fn)
          if (per === 'call') return run(item, given)
          const input = item as Guest
          input.config = given.config
          input.ctx = given.ctx
          input.hold = given.hold
          return run(input)
        }
      }
      return gather(call, works)
    },

    /** The host's answer to one host call. */
    deliver(request: number, nowMs: number, isOk: boolean, json: string): void {
      state.nowMs = nowMs
      const waiting = apply(mapGet, pendingCalls, [request]) as Pending | undefined
      if (waiting === undefined) return
      apply(mapDelete, pendingCalls, [request])
      const value = json === '' ? undefined : parse(json)
      if (isOk) return waiting.resolve(value)
      const { code, message } = value as { code: string; message: string }
      const error = new ErrorConstructor(message)
      defineProperty(error, 'code', { value: code, enumerable: true })
      waiting.reject(error)
    },
  })
}

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  for (const key of ownKeys(value)) deepFreeze((value as Guest)[key as string])
  return freeze(value)
}

const reserved = ['config', 'activate', 'dispose', 'validateConfig', 'migrate']

/** Plain data of what the plugin object declares; functions are named, never passed. */
function describe(plugin: Guest): unknown {
  const hooks = create(null) as Record<string, unknown>
  const lifecycle: string[] = []
  for (const key of ownKeys(plugin)) {
    if (typeof key !== 'string' || key === 'config') continue
    const value = plugin[key]
    if (typeof value === 'function') {
      lifecycle[lifecycle.length] = key
      continue
    }
    if (typeof value !== 'object' || value === null || isArray(value) || reserved.includes(key)) continue
    const functions: string[] = []
    const declares = create(null) as Record<string, unknown>
    for (const member of ownKeys(value)) {
      if (typeof member !== 'string') continue
      const part = (value as Guest)[member]
      if (typeof part === 'function') functions[functions.length] = member
      else declares[member] = part
    }
    hooks[key] = { functions, declares }
  }
  return { hooks, lifecycle, ...(plugin.config === undefined ? {} : { configSchema: plugin.config }) }
}
