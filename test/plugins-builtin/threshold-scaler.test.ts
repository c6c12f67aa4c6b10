/** The threshold scaler, through the harness that authors get. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Compile } from 'typebox/compile'
import plugin from '../../plugins-builtin/threshold-scaler/plugin.ts'
import { decide } from '../../runtime/scaling/decide.ts'
import type { ScalingState } from '../../runtime/scaling/state.ts'
import { Manifest, type Vote } from '../../sdk/index.ts'
import { createHarness, type ScalerCase } from '../../sdk/testing.ts'
import { scalingOf, start, unlimited } from '../scaling/sample.ts'

let apps = 0
/** Each case is an app of its own, so that nothing learned of one touches another. */
const freshName = () => {
  apps += 1
  return `app${apps}`
}
const ask = (input: ScalerCase, config = {}): Promise<Vote> =>
  createHarness(plugin, { config }).decide({ ...input, app: { name: freshName(), ...input.app } })
const sizeOf = (vote: Vote) => ('replicas' in vote ? vote.replicas : 'hold')

describe('the threshold scaler', () => {
  const rps = { targets: { rpsPerReplica: 50 } }
  /** sentence, app, metrics → size, reason */
  const table: [string, ScalerCase['app'], ScalerCase['metrics'], number | 'hold', RegExp][] = [
    [
      'grows at once to what the load needs',
      { ...rps, replicas: 1 },
      { rps: 600 },
      15,
      /^rps 600\/replica is 1200 % of the target 50$/,
    ],
    [
      'counts the replicas that answer',
      { ...rps, replicas: 5 },
      { rps: 590 },
      15,
      /^rps 118\/replica is 236 % of the target 50$/,
    ],
    [
      'stays at the threshold itself',
      { ...rps, replicas: 2 },
      { rps: 80 },
      2,
      /rps 40\/replica is 80 % of the target 50, within 30 % to 80 %/,
    ],
    ['grows by one just above it', { ...rps, replicas: 2 }, { rps: 81 }, 3, /is 81 %/],
    ['stays between the thresholds', { ...rps, replicas: 4 }, { rps: 100 }, 4, /50 % of the target 50, within/],
    ['stays at the lower threshold itself', { ...rps, replicas: 4 }, { rps: 60 }, 4, /30 % of the target/],
    [
      'shrinks to what the load needs with the margin',
      { ...rps, replicas: 10 },
      { rps: 100 },
      3,
      /^rps 10\/replica is 20 % of the target 50: 3 of 10 replicas are enough$/,
    ],
    ['never votes for none', { ...rps, replicas: 3 }, { rps: 0 }, 1, /1 of 3 replicas/],
    ['stays at one', { ...rps, replicas: 1 }, { rps: 0 }, 1, /^rps 0\/replica is 0 %/],
    [
      'does not ask again while replicas start',
      { ...rps, replicas: 15, healthyReplicas: 1 },
      { rps: 600 },
      15,
      /14 of 15 replicas are not healthy yet/,
    ],
    [
      'asks for more while replicas start when the load still grows',
      { ...rps, replicas: 15, healthyReplicas: 1 },
      { rps: 900 },
      23,
      /rps 900/,
    ],
    [
      'holds without a healthy replica',
      { ...rps, replicas: 3, healthyReplicas: 0 },
      { rps: 0 },
      'hold',
      /no replica is healthy/,
    ],
    [
      'holds without any replica',
      { ...rps, replicas: 0, minReplicas: 0 },
      { rps: 0 },
      'hold',
      /no replicas to measure/,
    ],
    [
      'holds without fresh metrics, and names them',
      { targets: { rpsPerReplica: 50, cpuPercent: 70 } },
      {},
      'hold',
      /^no fresh metrics: rps, cpuPercent$/,
    ],
    ['holds without targets', {}, { rps: 999 }, 'hold', /no targets/],
    ['ignores a metric without a target', { ...rps, replicas: 2 }, { rps: 50, cpuPercent: 100 }, 2, /^rps 25/],
    [
      'ignores a missing metric',
      { replicas: 4, targets: { rpsPerReplica: 50, cpuPercent: 70 } },
      { cpuPercent: 7 },
      1,
      /^cpuPercent 7 is 10 %/,
    ],
    [
      'the largest need wins',
      { replicas: 2, targets: { rpsPerReplica: 50, cpuPercent: 70 } },
      { rps: 100, cpuPercent: 91 },
      4,
      /^cpuPercent 91 is 130 % of the target 70$/,
    ],
    [
      'any busy metric keeps it from shrinking',
      { replicas: 4, targets: { rpsPerReplica: 50, cpuPercent: 70 } },
      { rps: 4, cpuPercent: 40 },
      4,
      /^cpuPercent 40 is 57 %.*within/,
    ],
    [
      'connections are shared out',
      { replicas: 1, targets: { connectionsPerReplica: 80 } },
      { activeConnections: 640 },
      10,
      /^activeConnections 640\/replica is 800 %/,
    ],
    ['a step is believed at once', { ...rps, replicas: 1 }, { rps: { last: 600, mean: 40 } }, 15, /rps 600/],
    ['a lull is not', { ...rps, replicas: 10 }, { rps: { last: 10, mean: 300 } }, 10, /rps 30\/replica is 60 %/],
    [
      'busy CPU that has already fallen asks for nothing',
      { replicas: 2, targets: { cpuPercent: 70 } },
      { cpuPercent: { last: 45, mean: 90 } },
      2,
      /90 is 129 %.*within|cpuPercent 90/,
    ],
    [
      'CPU that jumps is a step',
      { replicas: 2, targets: { cpuPercent: 70 } },
      { cpuPercent: { last: 98, mean: 30 } },
      4,
      /^cpuPercent 98 is 140 %/,
    ],
    [
      'CPU that merely wobbles is judged by its mean',
      { replicas: 2, targets: { cpuPercent: 70 } },
      { cpuPercent: { last: 98, mean: 50 } },
      2,
      /cpuPercent 98/,
    ],
    [
      'latency grows to the double at most',
      { replicas: 3, minReplicas: 3, targets: { latencyP95Ms: 250 } },
      { latencyP95Ms: 5000 },
      6,
      /^latencyP95Ms 5000 is 2000 %/,
    ],
    [
      'latency of few samples says nothing',
      { targets: { latencyP95Ms: 250 } },
      { latencyP95Ms: { last: 900, samples: 4 } },
      'hold',
      /no fresh metrics: latencyP95Ms/,
    ],
    [
      'latency between the thresholds does not keep it from shrinking',
      { replicas: 6, targets: { ...rps.targets, latencyP95Ms: 250 } },
      { rps: 30, latencyP95Ms: 120 },
      1,
      /rps 5\/replica/,
    ],
    [
      'latency alone does',
      { replicas: 6, targets: { latencyP95Ms: 250 } },
      { latencyP95Ms: 120 },
      6,
      /latencyP95Ms 120 is 48 %/,
    ],
    [
      'high latency keeps it from shrinking',
      { replicas: 6, targets: { ...rps.targets, latencyP95Ms: 250 } },
      { rps: 30, latencyP95Ms: 240 },
      6,
      /nothing shows that more replicas would lower it/,
    ],
    [
      'memory grows an app that is as small as may be',
      { targets: { memoryPercent: 75 } },
      { memoryPercent: 65 },
      2,
      /^memoryPercent 65 is 87 % of the target 75$/,
    ],
    [
      'memory does not grow one that is larger than its load needs',
      { replicas: 5, targets: { memoryPercent: 75 } },
      { memoryPercent: 65 },
      5,
      /nothing shows/,
    ],
  ]
  for (const [sentence, app, metrics, size, reason] of table) {
    it(sentence, async () => {
      const vote = await ask({ ...(app && { app }), ...(metrics && { metrics }) })
      assert.equal(sizeOf(vote), size, JSON.stringify(vote))
      assert.match(vote.reason, reason)
    })
  }

  it('grows no faster than it is told, but always by one', async () => {
    const load = { metrics: { rps: 600 } }
    const config = { maxGrowthFactor: 1.5 }
    assert.equal(sizeOf(await ask({ app: { ...rps, replicas: 1 }, ...load }, config)), 2)
    assert.equal(sizeOf(await ask({ app: { ...rps, replicas: 4 }, ...load }, config)), 6)
  })
  it('refuses a config that it does not know', () => {
    assert.throws(() => createHarness(plugin, { config: { maxGrowth: 2 } }), { code: 'ORC_PLUGIN_CONFIG_INVALID' })
    assert.throws(() => createHarness(plugin, { config: { scaleInIgnores: ['rpm'] } }), {
      code: 'ORC_PLUGIN_CONFIG_INVALID',
    })
  })
  it('asks for no capability', async () => {
    const path = new URL('../../plugins-builtin/threshold-scaler/package.json', import.meta.url)
    const { orchestry } = JSON.parse(await readFile(path, 'utf8')) as { orchestry: unknown }
    assert.ok(Compile(Manifest).Check(orchestry))
    assert.equal('capabilities' in orchestry, false)
  })
  it('answers a thousand apps in one call, each with its own vote', async () => {
    const inputs = Array.from({ length: 1000 }, (_, index) => ({
      app: { ...rps, name: freshName(), replicas: 1 },
      metrics: { rps: (index % 20) * 40 },
    }))
    const outcomes = await createHarness(plugin).decideBatch(inputs)
    assert.ok(outcomes.every((outcome, index) => outcome.ok && sizeOf(outcome.value) === Math.max(1, index % 20)))
  })
})

/** A simple world: votes are followed at once, and every replica there is answers. */
async function follow(
  app: NonNullable<ScalerCase['app']>,
  steps: number,
  measure: (replicas: number, step: number) => ScalerCase['metrics'],
): Promise<number[]> {
  const harness = createHarness(plugin)
  const name = freshName()
  const sizes = [app.replicas ?? 1]
  for (let step = 0; step < steps; step += 1) {
    const replicas = sizes.at(-1) ?? 1
    const metrics = measure(replicas, step)
    const vote = await harness.decide({
      app: { maxReplicas: 50, ...app, name, replicas, healthyReplicas: replicas },
      ...(metrics && { metrics }),
    })
    sizes.push('replicas' in vote ? Math.min(50, vote.replicas) : replicas)
  }
  return sizes
}
const turns = (sizes: readonly number[]) => {
  const moves = sizes.slice(1).map((size, index) => Math.sign(size - (sizes[index] ?? 0)))
  const real = moves.filter((move) => move !== 0)
  return real.filter((move, index) => index > 0 && move !== real[index - 1]).length
}

describe('memory and latency that do not answer to more replicas', () => {
  it('an idle app whose memory stays high gains one replica, not all of them', async () => {
    const sizes = await follow({ targets: { memoryPercent: 75, rpsPerReplica: 50 } }, 200, () => ({
      memoryPercent: 65,
      rps: 0.2,
    }))
    assert.deepEqual([Math.max(...sizes), sizes.at(-1)], [2, 2])
  })
  it('nor does one whose replicas start small and fill up again and again', async () => {
    // Ten steps after each growth the new replica's memory has filled up, too.
    let since = 0
    let seen = 1
    const sizes = await follow({ targets: { memoryPercent: 75 } }, 400, (replicas) => {
      since = replicas === seen ? since + 1 : 0
      seen = replicas
      return { memoryPercent: 65 - (30 / replicas) * Math.max(0, 1 - since / 10) * Number(replicas > 1) }
    })
    assert.ok(Math.max(...sizes) <= 3, `reached ${Math.max(...sizes)}`)
  })
  it('memory that is shared out grows the app until it is low enough', async () => {
    const sizes = await follow({ targets: { memoryPercent: 75 } }, 50, (replicas) => ({
      memoryPercent: 240 / replicas,
    }))
    assert.deepEqual([sizes.at(-1), turns(sizes)], [4, 0])
  })
  it('a slow database does not fill the machine with replicas', async () => {
    const sizes = await follow({ targets: { latencyP95Ms: 250 } }, 200, () => ({ latencyP95Ms: 2000, rps: 40 }))
    assert.deepEqual([Math.max(...sizes), turns(sizes)], [2, 0])
  })
  it('latency of an overloaded app grows it as long as more work gets done', async () => {
    // 10 requests a second and replica are done; 100 come in. Latency stays bad until all are done.
    const sizes = await follow({ targets: { latencyP95Ms: 250 } }, 50, (replicas) => ({
      latencyP95Ms: replicas < 10 ? 3000 : 100,
      rps: Math.min(100, replicas * 10),
    }))
    assert.ok((sizes.at(-1) ?? 0) >= 10, `ended at ${sizes.at(-1)}`)
  })
  it('losing what was learned adds nothing', async () => {
    let replicas = 1
    for (let life = 0; life < 20; life += 1) {
      // Another name is another memory: as if the sandbox had been restarted.
      const sizes = await follow({ replicas, targets: { memoryPercent: 75 } }, 10, () => ({ memoryPercent: 65 }))
      replicas = sizes.at(-1) ?? 1
    }
    assert.equal(replicas, 2)
  })
})

describe('no flapping', () => {
  it('a steady load moves the size at most once, whatever the thresholds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          target: fc.double({ min: 0.5, max: 500, noNaN: true }),
          load: fc.double({ min: 0, max: 10_000, noNaN: true }),
          replicas: fc.integer({ min: 1, max: 50 }),
          out: fc.integer({ min: 10, max: 150 }),
          inShare: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
          nature: fc.constantFrom('rps', 'activeConnections', 'cpuPercent'),
        }),
        async ({ target, load, replicas, out, inShare, nature }) => {
          const targets =
            nature === 'rps'
              ? { rpsPerReplica: target }
              : nature === 'activeConnections'
                ? { connectionsPerReplica: target }
                : { cpuPercent: target }
          const app = { replicas, targets, scaleOutThresholdPct: out, scaleInThresholdPct: out * inShare }
          const sizes = await follow(app, 6, (now) => ({ [nature]: nature === 'cpuPercent' ? load / now : load }))
          assert.equal(new Set(sizes.slice(1)).size, 1, sizes.join(' → '))
        },
      ),
      { numRuns: 300 },
    )
  })
  it('a tenfold step is answered in full by the first vote after it', async () => {
    const sizes = await follow({ targets: { rpsPerReplica: 50 } }, 10, (_, step) => ({
      rps: step < 5 ? 60 : { last: 600, mean: 60 + (step - 5) * 30 },
    }))
    assert.deepEqual(sizes, [1, 2, 2, 2, 2, 2, 15, 15, 15, 15, 15])
  })

  /** Requests per step, with the greatest burst of each trace in the middle. */
  const traces: [string, number, number[]][] = [
    // Numenta Anomaly Benchmark (numenta/NAB, MIT), elb_request_count, 2014-04-22 17:54 to 21:09, per 5 min
    [
      'a load balancer',
      40,
      [
        12, 116, 150, 87, 69, 10, 64, 244, 99, 11, 32, 57, 40, 86, 136, 116, 84, 150, 48, 175, 656, 256, 195, 338, 13,
        145, 173, 120, 92, 27, 79, 90, 131, 235, 42, 88, 136, 239, 61, 55,
      ],
    ],
    // NASA-HTTP (Internet Traffic Archive), Kennedy Space Center, 1995-07-13 09:29 to 10:18, per minute
    [
      'a web server',
      50,
      [
        208, 212, 103, 216, 263, 342, 288, 310, 255, 290, 295, 301, 248, 217, 81, 114, 188, 91, 330, 259, 405, 308, 329,
        300, 284, 280, 292, 256, 300, 272, 273, 225, 202, 232, 223, 220, 162, 220, 237, 210, 207, 229, 242, 210, 210,
        219, 212, 234, 193, 182,
      ],
    ],
  ]
  for (const [name, rpsPerReplica, loads] of traces) {
    it(`${name}: every vote is enough, and none moves without need`, async () => {
      const sizes = await follow({ targets: { rpsPerReplica } }, loads.length, (_, step) => ({ rps: loads[step] ?? 0 }))
      for (const [step, load] of loads.entries()) {
        const [before, after] = [sizes[step] ?? 0, sizes[step + 1] ?? 0]
        assert.ok(load / after / rpsPerReplica <= 0.8 + 1e-9, `${load} on ${after}`)
        if (after < before) assert.ok(load / before / rpsPerReplica < 0.3, `${load} took ${before} to ${after}`)
        if (after > before) assert.ok(load / before / rpsPerReplica > 0.8, `${load} took ${before} to ${after}`)
      }
    })
    it(`${name}: with the windows of the host it turns round seldom, and is always enough`, async () => {
      const harness = createHarness(plugin)
      const scaleIn = { stabilizationWindowSeconds: 300, policies: [], isDisabled: false }
      const scaling = scalingOf({ targets: { rpsPerReplica }, behavior: { scaleOut: unlimited, scaleIn } })
      const sizes = [1]
      let state: ScalingState | undefined
      // Played at 30 s a step: ten steps are one window.
      for (const [step, load] of loads.entries()) {
        const current = sizes.at(-1) ?? 1
        const { minReplicas, targets } = scaling
        const app = { name: 'shop', replicas: current, healthyReplicas: current, minReplicas, targets }
        const vote = await harness.decide({ app, metrics: { rps: load } })
        const input = {
          now: start + step * 30_000,
          app: 'shop',
          scaling,
          paused: 'none',
          current,
          metrics: {},
        } as const
        const outcome = decide({
          ...input,
          healthyReplicas: current,
          isDegraded: false,
          answers: [{ scaler: 'threshold', vote }],
          ...(state && { state }),
        })
        state = outcome.state
        sizes.push(outcome.decision.to)
        assert.ok(
          load / outcome.decision.to / rpsPerReplica <= 0.8 + 1e-9 || outcome.decision.to === scaling.maxReplicas,
        )
      }
      const naive = loads.map((load) => Math.max(1, Math.ceil(load / rpsPerReplica / 0.8)))
      assert.ok(turns(sizes) * 4 <= turns(naive), `${turns(sizes)} turns; following the load would be ${turns(naive)}`)
    })
  }
})
