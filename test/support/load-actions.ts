/** Everything that is done to an app under load, planned or not. Each ends with three replicas of `web`. */
import type { UnderLoad } from './load-table.ts'
import type { LoadWorld, Release } from './load-world.ts'
import { waitFor } from './wait-for.ts'

export interface LoadAction {
  readonly what: string
  /** Nothing dies that was not told to go. */
  readonly isPlanned: boolean
  run(world: LoadWorld, load: UnderLoad): Promise<unknown>
}

const changes = 20

async function rollOut(world: LoadWorld, release: Release, outcome: string): Promise<void> {
  const { length } = await world.events('web', 'rollout.finished')
  await world.apply('web', { release, replicas: 3 })
  const isOver = async () => {
    const ends = await world.events('web', 'rollout.finished')
    return ends.length > length && ends.at(-1)?.data.outcome === outcome
  }
  await waitFor(isOver, { timeoutMs: 60_000, everyMs: 25, what: `a rollout that ends as ${outcome}` })
}

async function refuse(world: LoadWorld, release: Release): Promise<void> {
  await rollOut(world, release, 'rolledBack')
  await world.apply('web', { release: '2', replicas: 3 })
  await world.settled('web', 3)
}

async function scale(world: LoadWorld, app: string, replicas: number): Promise<void> {
  await world.scale(app, replicas)
  await world.settled(app, replicas)
}

/** Each change of the other app is one of nginx, which then has new workers for every app. */
async function changeOther(world: LoadWorld): Promise<void> {
  let live = await world.generation()
  for (let round = 0; round < changes; round += 1) {
    const replicas = 2 - (round % 2)
    await world.scale('other', replicas)
    // Old workers answer for a moment after new ones do: what was live before is not asked for again.
    const isTaken = async () => {
      const now = await world.generation()
      const { serving, phase, problems } = await world.status('other')
      if (now !== live && serving === replicas) return now
      throw new Error(`${serving} of ${replicas} serve, ${phase}, ${now} after ${live}; ${problems.join(' ')}`)
    }
    live = await waitFor(isTaken, { timeoutMs: 20_000, what: 'nginx to take a change' })
  }
  await world.settled('web', 3)
}

async function killTwo(world: LoadWorld, load: UnderLoad): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    const [victim] = await world.instances('web')
    if (victim === undefined) throw new Error('there is no replica to kill')
    load.risk()
    await world.kill(victim)
    const isGone = async () => (await world.instances('web')).every(({ id }) => id !== victim.id)
    await waitFor(isGone, { timeoutMs: 20_000, what: 'the killed replica to be forgotten' })
    await world.settled('web', 3)
  }
}

async function restart(world: LoadWorld, how: 'asked' | 'killed'): Promise<void> {
  await world.restart(how)
  await world.settled('web', 3)
}

async function restartEngine(world: LoadWorld, signal: NodeJS.Signals): Promise<void> {
  await world.engine?.stop(signal)
  await world.engine?.start()
  // Only who has found it again can do this.
  for (const replicas of [4, 3]) await scale(world, 'web', replicas)
}

const planned = (what: string, run: LoadAction['run']): LoadAction => ({ what, isPlanned: true, run })

/** In the order of the table. */
export const loadActions: readonly LoadAction[] = [
  planned('scale 1 → 5 → 1 → 3', async (world) => {
    for (const replicas of [5, 1, 3]) await scale(world, 'web', replicas)
  }),
  planned('a new release rolls out', (world) => rollOut(world, '2', 'done')),
  planned('a release that exits is rolled back', (world) => refuse(world, 'exits')),
  planned('a release that never becomes healthy is rolled back', (world) => refuse(world, 'sick')),
  { what: 'two replicas are killed, one after the other', isPlanned: false, run: killTwo },
  planned(`${changes} changes of another app`, changeOther),
  planned('Orchestry ends, asked to keep, and comes back', (world) => restart(world, 'asked')),
  planned('Orchestry is killed and comes back', (world) => restart(world, 'killed')),
  planned('the engine ends and comes back', (world) => restartEngine(world, 'SIGTERM')),
  planned('the engine is killed and comes back', (world) => restartEngine(world, 'SIGKILL')),
]
