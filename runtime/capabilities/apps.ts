/** Lets a plugin see the apps it was granted, and ask for another size of them within a bound. */
import type { AppView } from '@orchestry/sdk'
import * as Type from 'typebox'
import { OrchestryError } from '../errors.ts'
import { argumentsOf } from './arguments.ts'
import type { Caller, Capability } from './capability.ts'

const readName = argumentsOf('apps.get', Type.String())
const readScale = argumentsOf(
  'apps.scale',
  Type.String(),
  Type.Integer({ minimum: 0, maximum: 100_000 }),
  Type.String({ minLength: 1, maxLength: 500 }),
)

export function createAppsCapability(deps: {
  /** Every app as a plugin may see it. */
  views: () => readonly AppView[]
  /** Clamps to the app's own bounds and records who asked and why. */
  scale: (app: string, replicas: number, reason: string, by: Pick<Caller, 'plugin' | 'instance'>) => Promise<void>
}): Capability<'apps'> {
  return {
    kind: 'apps',
    check({ read, scale }) {
      return read === true || scale !== undefined ? [] : ['neither read nor scale is given']
    },
    narrow({ read, scale, ...rest }, targets) {
      const sizes = targets.flatMap((target) => /^scale \S+ to (\d+)$/.exec(target)?.[1] ?? []).map(Number)
      const hasRead = targets.some((target) => target === 'list' || target.startsWith('get '))
      return {
        ...rest,
        ...(hasRead && read !== undefined ? { read } : {}),
        ...(sizes.length > 0 && scale !== undefined
          ? { scale: { maxReplicas: Math.min(scale.maxReplicas, Math.max(...sizes)) } }
          : {}),
      }
    },
    use({ read, scale, selector = {} }, { plugin, instance, onUse }) {
      const wanted = Object.entries(selector)
      const isGranted = (app: AppView) => wanted.every(([label, value]) => app.labels[label] === value)
      const granted = () => deps.views().filter(isGranted)
      const requireRead = () => {
        if (read !== true) throw denied('reading apps is not granted ("read": true)')
      }
      return {
        operations: {
          list() {
            requireRead()
            return granted()
          },
          get(args) {
            const [name] = readName(args)
            onUse?.('get', `get ${name}`, read === true)
            requireRead()
            return granted().find((app) => app.name === name) ?? null
          },
          async scale(args) {
            const [name, replicas, reason] = readScale(args)
            // One that does not exist and one that is not granted answer alike: names of others do not leak.
            const isKnown = granted().some((app) => app.name === name)
            const isGranted = scale !== undefined && replicas <= scale.maxReplicas && isKnown
            onUse?.('scale', `scale ${name} to ${replicas}`, isGranted)
            if (scale === undefined) throw denied('scaling apps is not granted ("scale": { "maxReplicas": … })')
            if (replicas > scale.maxReplicas)
              throw denied(`${replicas} replicas are more than the granted ${scale.maxReplicas}`)
            if (!isKnown) throw denied(`there is no granted app "${name.slice(0, 64)}"`)
            await deps.scale(name, replicas, reason, { plugin, instance })
          },
        },
      }
    },
  }
}

const denied = (what: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.apps: ${what}`)
