/** What may happen: operators, machines and chance. Each entry is drawn as often as its weight says. */
import type { Cluster, Faults } from './cluster.ts'
import type { Controller } from './controller.ts'
import type { Tell, Word } from './observer.ts'
import { appNames, specText, versions } from './specs.ts'

export interface Fate {
  readonly cluster: Cluster
  readonly tell: Tell
  /** Of the life that is now. */
  controller(): Controller
  /** The controller will die at a step from here on. */
  crashSoon(steps: number): void
  crashNow(): void
}

type Action = (fate: Fate, chance: () => number) => void | Promise<unknown>

/** The operator hears of it, or of an error, or of nothing when the controller dies. */
function say(
  { controller, tell }: Fate,
  app: string,
  word: Word,
  doing: (given: Controller) => Promise<unknown>,
): void {
  tell('asked', app, word)
  doing(controller()).then(
    () => tell('acknowledged', app, word),
    () => tell('refused', app),
  )
}

const below = (chance: () => number, most: number) => Math.floor(chance() * most)
const pick = <T>(chance: () => number, from: readonly T[]): T => from[below(chance, from.length)] as T
const appOf = (chance: () => number) => pick(chance, appNames)
const replicaOf = (fate: Fate, chance: () => number) => pick(chance, fate.cluster.running(appOf(chance)))

function apply(fate: Fate, chance: () => number): void {
  const app = appOf(chance)
  const version = pick(chance, versions)
  const text = specText(app, version, chance)
  say(fate, app, { say: 'apply', version }, ({ apps }) => apps.apply(text))
}

function fault(changes: (chance: () => number) => Partial<Faults>): Action {
  return ({ cluster }, chance) => cluster.mend(chance() < 0.4 ? changes(chance) : {})
}

export const actions: readonly { readonly name: string; readonly weight: number; readonly act: Action }[] = [
  { name: 'a spec is applied', weight: 4, act: apply },
  {
    name: 'it is scaled by hand',
    weight: 4,
    act: (fate, chance) => {
      const app = appOf(chance)
      const { minReplicas = 1, maxReplicas = 1 } = fate.controller().apps.get(app)?.app.scaling ?? {}
      const replicas = minReplicas + below(chance, maxReplicas - minReplicas + 1)
      say(fate, app, { say: 'scale', replicas }, ({ scaling }) => scaling.scaleByHand(app, replicas, 'by hand'))
    },
  },
  {
    name: 'it is stopped or started',
    weight: 2,
    act: (fate, chance) => {
      const app = appOf(chance)
      const isRunning = chance() < 0.6
      say(fate, app, { say: 'run', isRunning }, ({ apps }) => apps.setRunning(app, isRunning))
    },
  },
  {
    name: 'it is deleted',
    weight: 1,
    act: (fate, chance) => {
      const app = appOf(chance)
      say(fate, app, { say: 'remove' }, ({ apps }) => apps.remove(app))
    },
  },
  {
    name: 'scaling is paused or resumed',
    weight: 1,
    act: (fate, chance) => {
      const paused = pick(chance, ['none', 'all', 'in', 'out'] as const)
      fate
        .controller()
        .apps.setPaused(appOf(chance), paused)
        .catch(() => undefined)
    },
  },
  {
    name: 'the load changes',
    weight: 4,
    act: ({ cluster }, chance) => void cluster.load.set(appOf(chance), below(chance, 80)),
  },
  {
    name: 'a replica ends',
    weight: 4,
    act: (fate, chance) => fate.cluster.world.exit(replicaOf(fate, chance)?.id ?? ''),
  },
  {
    name: 'a replica is gone without a trace',
    weight: 2,
    act: (fate, chance) => {
      const { world, inside, clock } = fate.cluster
      const id = replicaOf(fate, chance)?.id ?? ''
      const one = inside.get(id)
      if (world.instances.delete(id) && one) one.endedAtMs = clock.monotonic()
    },
  },
  {
    name: 'a replica falls ill or recovers',
    weight: 3,
    act: (fate, chance) => {
      const one = fate.cluster.inside.get(replicaOf(fate, chance)?.id ?? '')
      if (!one) return
      one.isSick = chance() < 0.6
      if (one.isSick) one.isBlameless = false
    },
  },
  {
    name: 'a version turns out bad, or good',
    weight: 2,
    act: ({ cluster }, chance) => {
      const { faults, world, inside } = cluster
      const version = pick(chance, [...new Set([...world.instances.values()].map((one) => one.version))])
      cluster.cure()
      if (version === undefined || chance() < 0.4) return
      pick(chance, [faults.sickVersions, faults.refusedVersions, faults.crashingVersions]).add(version)
      for (const { id, version: other } of world.instances.values()) {
        const one = inside.get(id)
        if (one && other === version) one.isBlameless = false
      }
    },
  },
  { name: 'the driver', weight: 2, act: fault(() => ({ driver: 'down' })) },
  {
    name: 'the driver hangs',
    weight: 1,
    act: fault((chance) => ({ driver: pick(chance, ['hanging', 'deaf'] as const) })),
  },
  { name: 'the driver works', weight: 3, act: ({ cluster }) => cluster.mend({ driver: 'up' }) },
  {
    name: 'the load balancer fails',
    weight: 2,
    act: fault((chance) => ({ balancer: pick(chance, ['down', 'hanging', 'deaf'] as const) })),
  },
  { name: 'the load balancer works', weight: 3, act: ({ cluster }) => cluster.mend({ balancer: 'up' }) },
  {
    name: 'the load balancer forgets',
    weight: 1,
    act: ({ cluster, controller }) => {
      cluster.routes.clear()
      controller().balancing.republish()
    },
  },
  {
    name: 'health checks fail',
    weight: 1,
    act: fault((chance) => ({ health: pick(chance, ['down', 'hanging', 'unknown'] as const) })),
  },
  { name: 'health checks work', weight: 2, act: ({ cluster }) => cluster.mend({ health: 'up' }) },
  {
    name: 'scalers fail or work',
    weight: 2,
    act: ({ cluster }, chance) =>
      cluster.mend({ scaler: pick(chance, ['up', 'up', 'down', 'hanging', 'wild'] as const) }),
  },
  {
    name: 'a plugin rests or serves',
    weight: 1,
    act: ({ controller }, chance) =>
      controller().plugins.serve(pick(chance, ['first', 'second', 'prober', 'balancer']), chance() < 0.7),
  },
  {
    name: 'the disk',
    weight: 1,
    act: ({ cluster }, chance) => cluster.mend({ storeFailsPercent: chance() < 0.5 ? 0 : 30 }),
  },
  {
    name: 'paces change',
    weight: 2,
    act: ({ cluster }, chance) =>
      cluster.mend({
        driverMs: below(chance, 3) * 500,
        balancerMs: below(chance, 3) * 150,
        readyMs: below(chance, 4) * 1500,
        stubbornPercent: below(chance, 2) * 30,
        missedPercent: below(chance, 2) * 50,
      }),
  },
  {
    name: 'the clock is set',
    weight: 1,
    act: ({ cluster }, chance) => cluster.clock.jump((chance() - 0.5) * 7_200_000),
  },
  { name: 'the controller is killed', weight: 1, act: (fate) => fate.crashNow() },
  {
    name: 'the controller is killed at a step',
    weight: 4,
    act: (fate, chance) => fate.crashSoon(1 + below(chance, 30)),
  },
]

const weights = actions.reduce((sum, { weight }) => sum + weight, 0)

export function draw(chance: () => number): (typeof actions)[number] {
  let left = chance() * weights
  for (const action of actions) {
    left -= action.weight
    if (left < 0) return action
  }
  return actions[0] as (typeof actions)[number]
}
