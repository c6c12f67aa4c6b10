/** Ticks from the clock to what is wanted of an app, with people and failures in between. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Decision } from '../../runtime/scaling/decision.ts'
import type { ScalerInput, Vote } from '../../sdk/index.ts'
import { unlimited } from './sample.ts'
import { createWorld, type World } from './world.ts'

function started(test: TestContext, prepare: (world: World) => void, options: { tickMs?: number } = {}): World {
  const world = createWorld(options)
  prepare(world)
  world.scaling.start()
  test.after(() => world.scaling.stop())
  return world
}
const size = (replicas: number): Vote => ({ replicas, reason: `${replicas} wanted` })

describe('a tick', () => {
  it('asks once per scaler, whatever the number of apps, and acts on the answers', async (test) => {
    const world = started(test, (it) => {
      for (let index = 0; index < 5; index += 1) it.add(`app${index}`)
      it.scaler('a', () => size(2))
      it.scaler('b', ({ app }) => size(app.name === 'app3' ? 7 : 1))
    })
    await world.clock.advance(50)
    assert.deepEqual(world.calls, [
      { instance: 'a', fn: 'decide', items: 5 },
      { instance: 'b', fn: 'decide', items: 5 },
    ])
    assert.deepEqual([world.desired('app0'), world.desired('app3')], [2, 7])
    assert.equal(world.scaling.latest('app3')?.winner, 'b')
  })

  it('stores what it decided before anything moves, in one write', async (test) => {
    const world = started(test, (it) => {
      it.add('shop')
      it.add('blog')
      it.scaler('a', () => size(3))
    })
    await world.clock.advance(50)
    const firstMove = world.trace.findIndex((line) => line.startsWith('desired'))
    const lastWrite = world.trace.findLastIndex((line) => line.startsWith('write'))
    assert.ok(lastWrite < firstMove, world.trace.join(', '))
    const stored = await world.scaling.list({})
    assert.deepEqual(stored.map(({ app, to }) => `${app} ${to}`).toSorted(), ['blog 3', 'shop 3'])
    assert.deepEqual(world.dirty.toSorted(), ['blog', 'shop'])
  })

  it('tells of a change once, and not of holding', async (test) => {
    const world = started(test, (it) => {
      it.add('shop')
      it.scaler('a', () => size(3))
    })
    const heard: Decision[] = []
    world.scaling.onDecision((decision) => heard.push(decision))
    await world.clock.advance(5000)
    assert.deepEqual(
      world.events.map(({ type, data }) => [type, data.to]),
      [
        ['decision.made', 3],
        ['app.scaled', 3],
      ],
    )
    assert.deepEqual(
      heard.map(({ action }) => action),
      ['out', 'hold'],
    )
  })

  it('stores a hold again only when it is another kind of hold', async (test) => {
    let vote: () => Vote | Error = () => size(1)
    const world = started(test, (it) => {
      it.add('shop')
      it.scaler('a', () => vote())
    })
    let figure = 0
    vote = () => {
      figure += 1
      return { replicas: 1, reason: `rps ${figure}` }
    }
    await world.clock.advance(10_000)
    assert.equal((await world.scaling.list({})).length, 1)
    const latest = world.scaling.latest('shop')
    assert.match(latest?.reason ?? '', /^rps 1\d$/)
    assert.equal(latest?.id, (await world.scaling.list({}))[0]?.id)
    vote = () => new Error('broken')
    await world.clock.advance(10_000)
    assert.equal((await world.scaling.list({})).length, 2)
  })

  it('leaves stopped apps alone and asks nobody about manual ones', async (test) => {
    const world = started(test, (it) => {
      it.add('stopped', {}, { isRunning: false })
      it.add('manual', { mode: 'manual' })
      it.scaler('a', () => size(9))
    })
    await world.clock.advance(1500)
    assert.deepEqual(world.calls, [])
    assert.equal(world.scaling.latest('stopped'), undefined)
    assert.equal(world.scaling.latest('manual')?.limits[0]?.kind, 'manual')
  })

  it('a missing scaler and one that is not serving are error votes that say so', async (test) => {
    const world = started(test, (it) => {
      it.add('shop', { scalers: ['mine', 'resting', 'a'] }, { desired: 4 })
      it.scaler('a', () => size(1), { isDefault: false })
      it.scaler('resting', () => size(1), { isServing: false })
    })
    await world.clock.advance(3000)
    assert.equal(world.desired('shop'), 4)
    const { votes = [], limits = [] } = world.scaling.latest('shop') ?? {}
    assert.deepEqual(
      votes.map((vote) => ('error' in vote ? vote.error : vote.vote)),
      [
        { code: 'ORC_PLUGIN_UNKNOWN', message: 'there is no scaler of this name; there are a, resting' },
        { code: 'ORC_HOOK_NOT_SERVING', message: 'it is not serving' },
        { replicas: 1, reason: '1 wanted' },
      ],
    )
    assert.equal(limits[0]?.kind, 'veto')
  })

  it('sends a scaler only the metrics that it declares, and all when it declares none', async (test) => {
    const seen: Record<string, string[]> = {}
    const world = started(test, (it) => {
      it.add('shop')
      const look = (name: string) => (input: ScalerInput) => {
        seen[name] = Object.keys(input.metrics)
        return size(1)
      }
      it.scaler('queue', look('queue'), { declares: { metrics: ['queueDepth', 'unheardOf'] } })
      it.scaler('all', look('all'))
    })
    await world.clock.advance(50)
    assert.deepEqual(seen, { queue: ['queueDepth'], all: ['rps', 'queueDepth'] })
  })

  it('when the store refuses, nothing moves, and the next tick decides again', async (test) => {
    const world = started(test, (it) => {
      it.add('shop')
      it.scaler('a', () => size(3))
      it.failNextWrite()
    })
    await world.clock.advance(500)
    assert.equal(world.desired('shop'), 1)
    assert.match(world.logged.join(), /a scaling tick failed.*the disk is full/)
    await world.clock.advance(1000)
    assert.equal(world.desired('shop'), 3)
  })
})

describe('the clock of scaling', () => {
  it('asks nobody twice at once, and decides when late votes have come', async (test) => {
    let answer: (vote: Vote) => void = () => {}
    const world = started(test, (it) => {
      it.add('shop')
      it.scaler('a', () => new Promise<Vote>((resolve) => (answer = resolve)))
    })
    await world.clock.advance(5000)
    assert.equal(world.calls.length, 1)
    answer(size(2))
    await world.clock.advance(1)
    assert.equal(world.desired('shop'), 2)
    await world.clock.advance(1000)
    assert.equal(world.calls.length, 2)
    answer(size(2))
  })

  it('misses no tick, and no other app waits, because one scaler is slow', async (test) => {
    const answers: ((vote: Vote) => void)[] = []
    let wanted = 2
    const world = started(test, (it) => {
      it.add('slow', { scalers: ['a'] })
      it.add('both', { scalers: ['a', 'b'] })
      it.add('shop', { scalers: ['b'] })
      it.scaler('a', () => new Promise<Vote>((resolve) => answers.push(resolve)))
      it.scaler('b', () => size(wanted))
    })
    await world.clock.advance(400)
    assert.deepEqual([world.desired('slow'), world.desired('both'), world.desired('shop')], [1, 1, 2])
    wanted = 3
    await world.clock.advance(4_000)
    assert.equal(world.desired('shop'), 3)
    assert.deepEqual([world.desired('slow'), world.desired('both')], [1, 1], 'they wait for their votes')
    const { run, missed } = world.scaling.ticks()
    assert.equal(missed, 0)
    assert.ok(run >= 5, `${run} ticks in 4.4 s`)
    assert.equal(world.calls.filter(({ instance }) => instance === 'a').length, 1)
    for (const answer of answers.splice(0)) answer(size(4))
    await world.clock.advance(50)
    assert.deepEqual([world.desired('slow'), world.desired('both')], [4, 4])
    await world.clock.advance(600)
    for (const answer of answers) answer(size(4))
  })

  it('decides soon about a marked app alone, once for many marks', async (test) => {
    const world = started(
      test,
      (it) => {
        it.add('shop')
        it.add('blog')
        it.scaler('a', () => size(1))
      },
      { tickMs: 60_000 },
    )
    await world.clock.advance(1000)
    world.calls.length = 0
    for (let mark = 0; mark < 100; mark += 1) world.scaling.markDirty('shop')
    assert.deepEqual(world.calls, [])
    await world.clock.advance(25)
    assert.deepEqual(world.calls, [{ instance: 'a', fn: 'decide', items: 1 }])
  })

  it('decides soon when an app is changed, but not because it has scaled it itself', async (test) => {
    const world = started(
      test,
      (it) => {
        it.add('shop')
        it.scaler('a', () => size(4))
      },
      { tickMs: 60_000 },
    )
    await world.clock.advance(1000)
    assert.equal(world.calls.length, 1)
    world.change('shop', { paused: 'all' })
    await world.clock.advance(25)
    assert.equal(world.calls.length, 2)
  })

  it('stops for good, twice if asked, also before it was started', async () => {
    const world = createWorld()
    await world.scaling.stop()
    world.add('shop')
    world.scaler('a', () => size(1))
    world.scaling.start()
    world.scaling.start()
    await world.clock.advance(1500)
    await world.scaling.stop()
    await world.scaling.stop()
    const { length } = world.calls
    world.scaling.markDirty('shop')
    await world.clock.advance(5000)
    assert.equal(world.calls.length, length)
    assert.equal(world.clock.timers(), 0)
  })
})

describe('scaling by hand', () => {
  const cooldownSeconds = { out: 30, in: 30 }

  it('is recorded, done, and starts the cooldown', async (test) => {
    const world = started(test, (it) => {
      it.add('shop', { cooldownSeconds })
      it.scaler('a', () => size(1))
    })
    await world.clock.advance(50)
    const decision = await world.scaling.scaleByHand('shop', 6, 'for the sale')
    assert.deepEqual([decision.action, decision.from, decision.to, decision.by], ['out', 1, 6, 'operator'])
    assert.equal(decision.reason, 'for the sale')
    assert.equal((await world.scaling.list({ limit: 1 }))[0]?.id, decision.id)
    await world.clock.advance(29_000)
    assert.equal(world.desired('shop'), 6)
    assert.equal(world.scaling.latest('shop')?.limits[0]?.kind, 'cooldown')
    await world.clock.advance(2000)
    assert.equal(world.desired('shop'), 1)
  })

  it('refuses a size outside the bounds and names them', async () => {
    const world = createWorld()
    world.add('shop', { minReplicas: 2, maxReplicas: 5 }, { desired: 2 })
    for (const wrong of [1, 6, 2.5, Number.NaN, -1]) {
      await assert.rejects(world.scaling.scaleByHand('shop', wrong, ''), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ORC_API_VALIDATION')
        assert.match(
          error.message,
          /from 2 \(scaling\.minReplicas\) to 5 \(scaling\.maxReplicas\)\. Nothing was changed/,
        )
        return true
      })
    }
    assert.deepEqual(await world.scaling.list({}), [])
    await assert.rejects(world.scaling.scaleByHand('nobody', 2, ''), { code: 'ORC_APP_UNKNOWN' })
  })

  it('during a tick wins over the votes that were asked for before', async (test) => {
    let answer: (vote: Vote) => void = () => {}
    const world = started(test, (it) => {
      it.add('shop', { cooldownSeconds })
      it.scaler('a', () => new Promise<Vote>((resolve) => (answer = resolve)))
    })
    await world.clock.advance(50)
    await world.scaling.scaleByHand('shop', 6, 'now')
    answer(size(3))
    await world.clock.advance(50)
    assert.equal(world.desired('shop'), 6)
  })

  it('tells its caller when the store refuses, and changes nothing', async () => {
    const world = createWorld()
    world.add('shop')
    world.failNextWrite()
    await assert.rejects(world.scaling.scaleByHand('shop', 3, ''), { code: 'ORC_STORE_FAILED' })
    assert.equal(world.desired('shop'), 1)
    await world.scaling.scaleByHand('shop', 3, '')
    assert.equal(world.desired('shop'), 3)
  })
})

describe('a restart', () => {
  it('keeps the cooldown', async () => {
    const before = createWorld()
    before.add('shop', { cooldownSeconds: { out: 60, in: 0 } })
    before.scaler('a', () => size(3))
    before.scaling.start()
    await before.clock.advance(1000)
    await before.scaling.stop()
    assert.equal(before.desired('shop'), 3)

    const after = before.restart()
    after.scaler('a', () => size(8))
    after.scaling.start()
    await after.clock.advance(50_000)
    assert.equal(after.desired('shop'), 3)
    await after.clock.advance(15_000)
    assert.equal(after.desired('shop'), 8)
    await after.scaling.stop()
  })

  it('takes nothing away before its window has passed', async () => {
    const before = createWorld()
    const scaleIn = { ...unlimited, stabilizationWindowSeconds: 30 }
    before.add('shop', { behavior: { scaleOut: unlimited, scaleIn } }, { desired: 8 })
    const after = before.restart()
    after.scaler('a', () => size(1))
    after.scaling.start()
    await after.clock.advance(29_000)
    assert.equal(after.desired('shop'), 8)
    await after.clock.advance(3000)
    assert.equal(after.desired('shop'), 1)
    await after.scaling.stop()
  })

  it('knows nothing of an app that was deleted and made again', async (test) => {
    const world = started(test, (it) => {
      it.add('shop', { cooldownSeconds: { out: 600, in: 600 } })
      it.scaler('a', () => size(3))
    })
    await world.clock.advance(1000)
    assert.equal(world.desired('shop'), 3)
    world.change('shop', undefined)
    assert.equal(world.scaling.latest('shop'), undefined)
    await world.clock.advance(2000)
    assert.equal(await world.store.get(['scalingState', 'shop']), undefined)
    world.add('shop', { cooldownSeconds: { out: 600, in: 600 } })
    await world.clock.advance(2000)
    assert.equal(world.desired('shop'), 3)
  })
})
