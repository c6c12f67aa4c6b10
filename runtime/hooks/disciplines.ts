/** The calling disciplines, each one method, on top of the one caller. */
import { type HookKind, hookTable } from '@orchestry/sdk'
import type { LiveInstance } from '../plugins/plugins.ts'
import { appsOf } from './apps-of.ts'
import type { Caller } from './caller.ts'
import type { Answer, CallScope, Hooks, Provider } from './hooks.ts'

export interface HooksDeps {
  readonly caller: Caller
  liveInstances(): LiveInstance[]
  onInstancesChanged(listener: () => void): () => void
}

export function createHooks({ caller, liveInstances, onInstancesChanged }: HooksDeps): Hooks {
  const find = (name: string) => liveInstances().find((instance) => instance.name === name)

  /** The answers are checked against the hook table by the caller; the types follow from the same table. */
  async function one<T>(
    kind: HookKind,
    fn: string,
    name: string,
    payload: unknown,
    scope: CallScope,
  ): Promise<Answer<T>> {
    const items = [JSON.stringify(payload ?? null)]
    const [answer] = await caller.call(find(name), name, { kind, fn, items, apps: appsOf(kind, fn, [payload]), scope })
    if (answer === undefined) throw new Error('a call of one item has one answer')
    return answer as Answer<T>
  }

  return {
    providers(kind) {
      const providers: Provider[] = []
      for (const instance of liveInstances()) {
        const hook = instance.hooks[kind]
        if (hook === undefined) continue
        const { plugin, version, name, isDefault } = instance
        providers.push({
          plugin,
          version,
          instance: name,
          kind,
          isDefault,
          isServing: instance.sandbox !== undefined,
          functions: hook.functions,
          declares: hook.declares,
        })
      }
      return providers
    },

    collect(kind, fn, itemsByInstance, scope = {}) {
      // Several scalers look at the same input: its text is made once.
      const texts = new Map<unknown, string>()
      const textOf = (item: unknown): string => {
        let text = texts.get(item)
        if (text === undefined) {
          text = JSON.stringify(item)
          texts.set(item, text)
        }
        return text
      }
      const answers = new Map<string, Promise<Answer<never>[]>>()
      for (const [name, items] of itemsByInstance) {
        const call = { kind, fn, items: items.map(textOf), apps: appsOf(kind, fn, items), scope }
        answers.set(name, caller.call(find(name), name, call) as Promise<Answer<never>[]>)
      }
      return answers
    },

    first: async (kind, fn, instance, items, scope = {}) => {
      const call = { kind, fn, items: items.map((item) => JSON.stringify(item)), apps: appsOf(kind, fn, items), scope }
      return (await caller.call(find(instance), instance, call)) as Answer<never>[]
    },
    exclusive: (kind, fn, instance, payload, scope = {}) => one(kind, fn, instance, payload, scope),
    broadcast: (kind, fn, instance, payload, scope = {}) => one(kind, fn, instance, payload, scope),
    onProvidersChanged: onInstancesChanged,
  }
}

/** Whether a name is one of the hook kinds; a plugin's description is not to be believed. */
export function isHookKind(name: string): name is HookKind {
  return Object.hasOwn(hookTable, name)
}
