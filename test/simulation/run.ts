/** One run: a life of some simulated minutes, drawn from one seed, with all checkers watching. */
import { seeded } from '../support/seeded.ts'
import type { Checker, Scene } from './checker.ts'
import { type Cluster, createCluster, createFaults } from './cluster.ts'
import { type Breaking, type Controller, startController } from './controller.ts'
import { draw } from './fate.ts'
import type { Life } from './life.ts'
import type { Tell } from './observer.ts'
import { appNames, specText } from './specs.ts'

export interface Breach {
  readonly checker: string
  readonly text: string
  readonly atMs: number
}

export interface RunOptions {
  readonly seed: number
  readonly checkers: Readonly<Record<string, Checker>>
  readonly breaking?: Breaking
  readonly trace?: (line: string) => void
  readonly actions?: number
  /** Killed controllers go on all the same: to see that somebody notices. */
  readonly isUndead?: boolean
}

const crashesAtStartAtMost = 3
/** After faults end: the longest backoff, drain and grace, and what it takes beside. */
const mendMs = 240_000

export async function simulate(options: RunOptions): Promise<Breach[]> {
  const { seed, trace, actions = 25 } = options
  const chance = seeded(seed)
  const cluster = createCluster(chance)
  const breaches: Breach[] = []
  let controller: Controller | undefined
  let stepsLeft = Number.POSITIVE_INFINITY
  let life: Life | undefined
  let isReplaced = false

  const current = (): Controller => {
    if (!controller) throw new Error('no controller lives')
    return controller
  }
  const breach = (checker: string, text: string) => {
    breaches.push({ checker, text, atMs: cluster.clock.monotonic() })
    trace?.(`${stamp(cluster)} BREACH ${checker}: ${text}`)
  }
  const observers = Object.entries(options.checkers).map(([checker, create]) => {
    const scene: Scene = { cluster, controller: current, breach: (text) => breach(checker, text) }
    return { checker, observer: create(scene) }
  })
  const tell: Tell = (what, ...args) => {
    if (trace) traced(trace, cluster, what, args)
    for (const { checker, observer } of observers) {
      try {
        ;(observer[what] as ((...given: unknown[]) => void) | undefined)?.(...args)
      } catch (thrown) {
        // A checker that throws must not change what it watches.
        breach(checker, `it threw: ${thrown instanceof Error ? thrown.stack : String(thrown)}`)
      }
    }
  }

  function kill(why: string): void {
    if (!life || life.isOver) return
    trace?.(`${stamp(cluster)} KILLED ${why}`)
    if (controller) tell('dying')
    if (options.isUndead) {
      isReplaced = true
      return
    }
    life.isOver = true
    controller?.kill()
  }
  async function bear(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const mine: Life = {
        isOver: false,
        atStep: (name) => {
          stepsLeft -= 1
          if (stepsLeft < 0 && !mine.isOver) kill(name)
        },
      }
      life = mine
      isReplaced = false
      controller = undefined
      tell('born')
      if (stepsLeft < 0)
        stepsLeft =
          attempt < crashesAtStartAtMost && chance() < 0.3 ? Math.floor(chance() * 6) : Number.POSITIVE_INFINITY
      let isStarted = false
      const built = (given: Controller) => {
        controller = given
      }
      startController(cluster, mine, tell, built, options.breaking).then(
        () => {
          isStarted = true
        },
        (thrown: unknown) => breach('start', String(thrown)),
      )
      for (let waitedMs = 0; !isStarted && !mine.isOver; waitedMs += 50) {
        // A driver that hangs holds up the start for as long as it hangs.
        if (waitedMs > 30_000) cluster.mend({ driver: 'up' })
        await cluster.clock.advance(50)
      }
      if (mine.isOver) continue
      trace?.(`${stamp(cluster)} BEGAN`)
      tell('began')
      return
    }
  }
  async function pass(ms: number): Promise<void> {
    const untilMs = cluster.clock.monotonic() + ms
    do {
      await cluster.clock.advance(Math.min(500, untilMs - cluster.clock.monotonic()))
      if (life?.isOver || isReplaced) await bear()
    } while (cluster.clock.monotonic() < untilMs)
    tell('looked')
  }

  const fate = {
    cluster,
    tell,
    controller: current,
    crashSoon: (steps: number) => {
      stepsLeft = steps
    },
    crashNow: () => kill('between two steps'),
  }
  await new Promise((resolve) => setImmediate(resolve))
  await bear()
  for (const name of appNames) void current().apps.apply(specText(name, 'v1', chance))
  await pass(3_000)
  for (let index = 0; index < actions; index += 1) {
    const { name, act } = draw(chance)
    trace?.(`${stamp(cluster)} FATE ${name}`)
    await act(fate, chance)
    await pass(Math.floor(chance() ** 3 * 12_000))
  }

  stepsLeft = Number.POSITIVE_INFINITY
  trace?.(`${stamp(cluster)} MENDED`)
  mendAll(cluster)
  await pass(500)
  for (const name of ['first', 'second', 'prober', 'balancer']) current().plugins.serve(name, true)
  let isSettled = false
  for (let passedMs = 0; passedMs < mendMs && !isSettled; passedMs += 5_000) {
    await pass(5_000)
    const isAllThere = appNames.every(
      (name) => isAsWanted(current(), name) && isRoutedAsWanted(cluster, current(), name),
    )
    isSettled = passedMs >= 20_000 && isAllThere
  }
  tell('ended')
  kill('the run is over')
  return breaches
}

function isAsWanted({ reconciler, apps }: Controller, name: string): boolean {
  const { phase } = reconciler.status(name)
  return apps.get(name)?.isRunning ? phase === 'running' : phase === 'stopped'
}

/** A load balancer that was away is told again when its rest is over. */
function isRoutedAsWanted({ routes }: Cluster, { apps }: Controller, name: string): boolean {
  const record = apps.get(name)
  const wanted = record?.isRunning ? record.desired : 0
  return record ? (routes.get(name)?.endpoints.length ?? 0) === wanted : !routes.has(name)
}

function mendAll(cluster: Cluster): void {
  const { sickVersions: _, refusedVersions: __, crashingVersions: ___, ...works } = createFaults()
  cluster.mend(works)
  cluster.cure()
  for (const one of cluster.inside.values()) one.isSick = false
  for (const name of appNames) cluster.load.set(name, 15)
}

const stamp = ({ clock }: Cluster) => `${(clock.monotonic() / 1000).toFixed(3).padStart(9)} s`

function traced(trace: (line: string) => void, cluster: Cluster, what: string, args: readonly unknown[]): void {
  if (what === 'decided' || what === 'scalerAsked' || what === 'scalerAnswered' || what === 'looked') return
  const shown = what === 'recordChanged' ? short(args[0] as { name: string; record?: object }) : args
  trace(`${stamp(cluster)} ${what} ${JSON.stringify(shown).slice(0, 300)}`)
}

function short({ name, record }: { name: string; record?: object }): unknown {
  if (!record) return { name, gone: true }
  const { desired, version, isRunning, paused } = record as Record<string, unknown>
  return { name, desired, version, isRunning, paused }
}
