/** Five hundred random lives of a small cluster. Checkers watch every publish, start and stop; a failure names its seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowanceOf } from '../../runtime/reconcile/allowance.ts'
import { sampleSpec } from '../support/fake-apps.ts'
import { createReconcileWorld, type ReconcileWorld } from '../support/reconcile-world.ts'
import { seeded } from '../support/seeded.ts'

const runs = Number(process.env.SIMULATION_RUNS ?? 500)
const firstSeed = Number(process.env.SIMULATION_SEED ?? 1)
const actionsPerRun = 30
const names = ['a', 'b']
const rollouts = [
  { maxSurge: 1, maxUnavailable: 0, drainSeconds: 3, stopGraceSeconds: 1 },
  { maxSurge: 2, maxUnavailable: 1, drainSeconds: 0, stopGraceSeconds: 1 },
  { maxSurge: 0, maxUnavailable: 1, drainSeconds: 2, stopGraceSeconds: 1 },
]

/** Throws inside the room under test would be swallowed there, so breaches are collected. */
function watch(world: ReconcileWorld): string[] {
  const breaches: string[] = []
  const isEnding = (app: string) => world.apps.get(app)?.isRunning !== true
  world.balancing.onPublish = (published) => {
    const { app, endpoints } = published
    const views = new Map(world.views(app).map((view) => [view.id, view]))
    // Where none is well, those that are not are better than none.
    const isLastResort = endpoints.every((id) => views.get(id)?.rotation === 'unhealthy')
    for (const id of endpoints) {
      const view = views.get(id)
      if (!view?.isRunning) breaches.push(`${id} is published but does not run`)
      if (isLastResort) continue
      if (view && view.rotation !== 'serving') breaches.push(`${id} is published but ${view.rotation}`)
      if (world.health.stateOf(id)?.status === 'unhealthy') breaches.push(`${id} is published but unhealthy`)
    }
    if (new Set(endpoints).size !== endpoints.length) breaches.push(`${app} has an endpoint twice`)
    const record = world.apps.get(app)
    if (!record?.isRunning) return
    // The one before this: a retired replica stays in what is taken for as long as the load balancer does not answer.
    const before = world.balancing.history.findLast((one) => one.app === app && one !== published)
    const chosen = (before?.endpoints ?? []).filter((id) => {
      const isWell = views.get(id)?.isRunning && world.health.stateOf(id)?.status !== 'unhealthy'
      return isWell && !endpoints.includes(id) && world.driver.instances.get(id)?.isRunning
    })
    const least = record.desired - allowanceOf(record.app.rollout, record.desired).unavailable
    const wasGivenBack = chosen.length === 0 || endpoints.length >= least
    if (!wasGivenBack)
      breaches.push(`${app} gave up ${chosen.join()} with ${endpoints.length} left of ${record.desired}`)
  }
  world.driver.onStop = (id) => {
    const instance = world.driver.instances.get(id)
    if (!instance?.isRunning || isEnding(instance.app)) return
    if (world.serving(instance.app).includes(id)) breaches.push(`${id} is stopped while it takes requests`)
  }
  world.driver.onRequest = ({ app }) => {
    const record = world.apps.get(app)
    if (!record) return void breaches.push(`${app} does not exist but is started`)
    const { surge } = allowanceOf(record.app.rollout, record.desired)
    const staying = world.views(app).filter((one) => one.isRunning && one.rotation !== 'draining')
    const there = staying.filter((one) => one.rotation !== 'stopping').length
    if (there + 1 > record.desired + surge) breaches.push(`${app}: ${there} and one more, ${record.desired} wanted`)
  }
  return breaches
}

/** One thing that an operator, a plugin, a machine or fate may do. */
async function act(world: ReconcileWorld, chance: () => number): Promise<void> {
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(chance() * from.length)]
  const app = pick(names) ?? 'a'
  const one = pick(world.running(app))
  const version = `v${1 + Math.floor(chance() * 3)}`
  const actions: (() => void | Promise<void>)[] = [
    () => void world.apps.put(app, { desired: Math.floor(chance() * 6) }),
    () => void world.apps.put(app, { desired: Math.floor(chance() * 6) }),
    () => void world.apps.put(app, { version }),
    () => void world.apps.put(app, { isRunning: chance() < 0.7 }),
    () => (chance() < 0.3 ? world.apps.delete(app) : undefined),
    () => one && world.driver.crash(one.id),
    () => one && world.driver.crash(one.id),
    () => one && world.driver.vanish(one.id),
    () => one && world.health.set(one, 'unhealthy'),
    () => one && world.health.set(one, 'healthy'),
    () => one && void world.balancing.connections.set(one.id, Math.floor(chance() * 3)),
    () => {
      world.balancing.isWorking = chance() < 0.6
    },
    () => {
      const bad = version
      const isRefusing = chance() < 0.5
      world.driver.refuse = (request) => (isRefusing && request.version === bad ? 'no such image.' : undefined)
    },
    () => {
      const sick = version
      const afterMs = Math.floor(chance() * 3000)
      const isSick = chance() < 0.5
      world.health.rule = (instance) => ({
        status: isSick && instance.version === sick ? 'unhealthy' : 'healthy',
        afterMs,
      })
    },
    () => {
      world.driver.startMs = Math.floor(chance() * 2000)
      world.driver.listMs = Math.floor(chance() * 1000)
      world.driver.stopMs = Math.floor(chance() * 2000)
      world.balancing.publishMs = Math.floor(chance() * 300)
    },
    () => {
      world.driver.isListable = chance() < 0.7
    },
    () => world.restart(),
    () => world.driver.resync(),
  ]
  await pick(actions)?.()
  await world.clock.advance(Math.floor(chance() ** 3 * 8000))
}

/** Whatever was broken works again; then everything must become as wanted. */
async function mend(world: ReconcileWorld): Promise<void> {
  world.balancing.isWorking = true
  world.driver.isListable = true
  world.driver.refuse = () => undefined
  world.health.rule = () => ({ status: 'healthy', afterMs: 50 })
  for (const instance of world.driver.instances.values()) world.health.set(instance, 'healthy')
  world.balancing.connections.clear()
  await world.clock.advance(40_000)
}

function check(world: ReconcileWorld, app: string): void {
  const record = world.apps.get(app)
  const wanted = record?.isRunning ? record.desired : 0
  const running = world.running(app).map((one) => one.id)
  assert.equal(running.length, wanted, `${app} has ${running.length} replicas, ${wanted} are wanted`)
  assert.deepEqual([...world.serving(app)].sort(), running.sort(), `${app} routes to what runs`)
  if (!record) assert.equal(world.balancing.taken.has(app), false, `${app} is deleted but routed`)
}

async function live(seed: number): Promise<void> {
  const chance = seeded(seed)
  const world = createReconcileWorld(chance)
  const breaches = watch(world)
  for (const name of names) {
    const rollout = rollouts[Math.floor(chance() * rollouts.length)]
    world.apps.put(name, { desired: 2, app: sampleSpec(name, rollout ? { rollout } : {}) })
  }
  await world.start()
  await world.clock.advance(2000)
  for (let step = 0; step < actionsPerRun; step += 1) await act(world, chance)
  await mend(world)
  for (const app of names) assert.equal(await world.settle(app, 200_000), true, `${app} becomes as wanted`)
  for (const app of names) check(world, app)
  assert.equal(
    [...world.driver.instances.values()].every((one) => one.isRunning),
    true,
    'no dead replica is left',
  )
  assert.deepEqual(breaches, [])
}

test(`no replica is lost, doubled, cut off or published unfit in ${runs} random runs`, async () => {
  for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
    try {
      await live(seed)
    } catch (thrown) {
      throw new Error(`seed ${seed}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown })
    }
  }
})
