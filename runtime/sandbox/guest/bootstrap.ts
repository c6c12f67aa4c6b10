/**
 * The only code of ours inside an isolate. It is evaluated before the plugin, holds the one function that leaves the isolate
 * (`post`) in its closure, and hands the sandbox process five entry points. Only strings and numbers cross, either way.
 */
import { createAmbient } from './ambient.ts'
import { createAnswers, failedSlot, slot, slotOf } from './answers.ts'
import { createContexts } from './context.ts'
import { stands } from './defences.ts'
import { describe, type Guest } from './describe.ts'
import { harden } from './harden.ts'
import { createHostCalls, type Post } from './host-calls.ts'
import { apply, CompileFunction, cut, freeze, GuestError, ownKeys, parse, text } from './primordials.ts'

/** The answer of a function that the plugin does not have. */
const nothing = '[[1,null]]'
const strict = stands('strict-bundle') ? '"use strict";' : ''

export function start(post: Post, hostCallLimit: number, outLimit: number) {
  const ambient = createAmbient()
  const hostCalls = createHostCalls(post, hostCallLimit, outLimit)
  const contexts = createContexts(hostCalls, ambient)
  const gather = createAnswers(post, hostCalls, outLimit)
  let plugin: Guest | undefined
  let config: unknown
  harden(ambient.builtin)

  const hold = freeze((reason: unknown) => ({ hold: true, reason: cut(text(reason)) }))

  function runHook(kind: string, fn: string, args: unknown[]): unknown {
    const hook = plugin?.[kind] as Guest | undefined
    const run = hook?.[fn]
    if (typeof run !== 'function') throw new GuestError(`the plugin has no ${kind}.${fn}`)
    return apply(run, hook, args)
  }

  return freeze({
    /** Runs the bundle's top level. Returns the description of what it declares. */
    load(source: string): string {
      try {
        const module: { exports: Guest } = { exports: {} }
        const code = `${strict}${source}\n//# sourceURL=plugin.js`
        const run = apply(CompileFunction, undefined, ['module', 'exports', code])
        apply(run, undefined, [module, module.exports])
        const exported = module.exports.default ?? module.exports
        if (typeof exported !== 'object' || exported === null) {
          throw new GuestError('the entry has no default export: export default definePlugin({ … })')
        }
        plugin = exported as Guest
        return slot(describe(plugin))
      } catch (thrown) {
        return failedSlot(thrown)
      }
    },

    open(call: number, nowMs: number, seed: number, instance: string, bindingsJson: string, configJson: string) {
      ambient.enter(nowMs, seed)
      contexts.grant(instance, parse(bindingsJson) as Record<string, string>)
      config = deepFreeze(parse(configJson))
      const activate = plugin?.activate
      if (typeof activate !== 'function') return nothing
      return gather(call, [() => apply(activate, plugin, [contexts.make(call), config])])
    },

    validate(configJson: string): string {
      const check = plugin?.validateConfig
      if (typeof check !== 'function') return '[[1,[]]]'
      return `[${slotOf(() => apply(check, plugin, [parse(configJson)]))}]`
    },

    call(call: number, nowMs: number, seed: number, kind: string, fn: string, per: string, itemsJson: string) {
      ambient.enter(nowMs, seed)
      const items = parse(itemsJson) as unknown[]
      if (kind === 'timers') {
        const run = contexts.timerOf(call, text(items[0]))
        return run === undefined ? nothing : gather(call, [run])
      }
      const ctx = contexts.make(call)
      if (kind === 'lifecycle') {
        const dispose = plugin?.dispose
        return typeof dispose === 'function' ? gather(call, [() => apply(dispose, plugin, [ctx])]) : nothing
      }
      const tools = { config, ctx, hold }
      const works: (() => unknown)[] = []
      for (let index = 0; index < items.length; index += 1) {
        const item = items[index]
        works[index] = () => {
          if (per === 'call') return runHook(kind, fn, [item, tools])
          const input = item as Guest
          input.config = config
          input.ctx = ctx
          input.hold = hold
          return runHook(kind, fn, [input])
        }
      }
      return gather(call, works)
    },

    deliver(request: number, nowMs: number, isOk: boolean, json: string): void {
      ambient.enter(nowMs, 0)
      hostCalls.deliver(request, isOk, json)
    },
  })
}

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const keys = ownKeys(value)
  for (let index = 0; index < keys.length; index += 1) deepFreeze((value as Guest)[keys[index] as string])
  return freeze(value)
}
