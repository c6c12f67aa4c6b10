/** Nothing grows without bound: after many apps have come, crashed, scaled and gone, every collection is as small as before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded } from '../support/seeded.ts'
import { createCluster } from './cluster.ts'
import { type Breaking, type Controller, startController } from './controller.ts'
import { specText } from './specs.ts'

const rounds = 24
const appsPerRound = 12
/** What a collection may hold more than after the first rounds. */
const slack = 3

interface Sized {
  readonly where: string
  readonly size: number
}

/** Every Map and Set that is made while the rooms are built, with the place: those live as long as the rooms. */
async function tracked(build: () => Promise<void>): Promise<Sized[]> {
  const found: { where: string; collection: { readonly size: number } }[] = []
  const place = () => /runtime\/[\w/-]+\.ts:\d+/.exec(new Error().stack ?? '')?.[0]
  const { Map: PlainMap, Set: PlainSet } = globalThis
  const note = (collection: { readonly size: number }) => {
    const where = place()
    if (where !== undefined) found.push({ where, collection })
  }
  globalThis.Map = class<K, V> extends PlainMap<K, V> {
    constructor(entries?: Iterable<readonly [K, V]> | null) {
      super(entries)
      note(this)
    }
  } as MapConstructor
  globalThis.Set = class<T> extends PlainSet<T> {
    constructor(values?: Iterable<T> | null) {
      super(values)
      note(this)
    }
  } as SetConstructor
  try {
    await build()
  } finally {
    globalThis.Map = PlainMap
    globalThis.Set = PlainSet
  }
  return found.map(({ where, collection }) => ({
    where,
    get size() {
      return collection.size
    },
  }))
}

async function grown(breaking: Breaking = {}): Promise<string[]> {
  const chance = seeded(7)
  const cluster = createCluster(chance)
  const { clock, world, inside } = cluster
  let controller: Controller | undefined
  const life = { isOver: false, atStep: () => undefined }
  const sizes = await tracked(async () => {
    const built = Promise.withResolvers<void>()
    const start = startController(
      cluster,
      life,
      () => undefined,
      (given) => {
        controller = given
        built.resolve()
      },
      breaking,
    )
    void start
    for (let waited = 0; !controller && waited < 100; waited += 1) await clock.advance(10)
    await built.promise
  })
  assert.ok(controller && sizes.length > 15, 'the collections of the rooms are found')
  const { apps } = controller
  const taken = () => [...sizes.map(({ size }) => size), clock.timers()]
  let early: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const names = Array.from({ length: appsPerRound }, (_, index) => `app-${round}-${index}`)
    for (const name of names) apps.apply(specText(name, 'v1', chance)).catch(() => undefined)
    await clock.advance(4_000)
    for (const { id } of [...world.instances.values()]) if (chance() < 0.5) world.exit(id)
    await clock.advance(3_000)
    for (const name of names) apps.remove(name).catch(() => undefined)
    await clock.advance(40_000)
    inside.clear()
    if (round === 2) early = taken()
  }
  const late = taken()
  life.isOver = true
  controller.kill()
  const names = [...sizes.map(({ where }) => where), 'timers']
  return names.filter((_, index) => Number(late[index]) > Number(early[index]) + slack)
}

test(`after ${rounds * appsPerRound} apps nothing is held of them`, async () => {
  assert.deepEqual(await grown(), [])
})

test('which would be seen', async () => {
  const forgetful: Breaking = {
    apps: (apps) => ({ ...apps, onChange: () => () => undefined, list: () => [...apps.list()] }),
    balancing: (balancing) => ({ ...balancing, remove: async () => true }),
  }
  assert.notDeepEqual(await grown(forgetful), [])
})
