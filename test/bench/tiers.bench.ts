/** What each tier of confinement costs: the same plugin at every tier that this machine has, in turns within one run. */
import { systemClock } from '../../runtime/clock.ts'
import type { Bundle, Sandbox, Tier } from '../../runtime/sandbox/sandbox.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import { waitFor } from '../support/wait-for.ts'
import type { Bench, BenchContext, Measured, Row } from './bench.ts'
import { answerOf, decideCall, type Guest, hooksOf, openGuest, quietLog, scalerBody, scalerInput } from './guests.ts'
import { hasProc, weightOf } from './processes.ts'
import { median, quantile } from './samples.ts'
import { timed } from './timed.ts'

const apps = 1_000
const metrics = { cpuPercent: 50, rps: 120 }
const patienceMs = 5_000

export const bench: Bench = {
  async run(context) {
    const bundle = await bundleGuest(scalerBody, 'plugin')
    const rows: Row[] = []
    for (const tier of [0, 1, 2, 3] as const) {
      const sandbox = await openTier(context, tier)
      if (typeof sandbox === 'string') rows.push({ what: `tier ${tier}`, missing: sandbox })
      else rows.push(...(await measure(context, sandbox, tier, bundle)))
    }
    return rows
  },
}

/** The sandbox at exactly that tier, or why there is none. */
async function openTier({ dir, after }: BenchContext, tier: Tier): Promise<Sandbox | string> {
  try {
    const sandbox = await createSandbox({ dataDir: dir, tier: `${tier}`, clock: systemClock, log: quietLog })
    after(() => sandbox.close())
    return sandbox
  } catch (thrown) {
    return (thrown as Error).message
  }
}

async function measure(context: BenchContext, sandbox: Sandbox, tier: Tier, bundle: Bundle): Promise<Row[]> {
  const coldMs: number[] = []
  const killedMs: number[] = []
  for (let run = 0; run < (context.isQuick ? 4 : 10); run += 1) {
    // The spare that may wait goes to the first, so that the second starts from nothing.
    const first = await openGuest(sandbox, { ...bundle, plugin: `first-${run}` })
    const startedMs = performance.now()
    const second = await openGuest(sandbox, { ...bundle, plugin: `second-${run}` })
    await answerOf(second.instance)
    coldMs.push(performance.now() - startedMs)
    killedMs.push(await kill(second))
    await Promise.all([first.plugin.close(), second.plugin.close()])
  }
  const guest = await openGuest(sandbox, bundle)
  const rows = [
    row(`tier ${tier}: plugin activate → serving, no spare`, coldMs, 150),
    row(`tier ${tier}: process killed → serving`, killedMs, 300),
    // Before the batches: they leave a heap behind that is as large as what they carried.
    ...(await weightRow(guest, tier)),
    await callRow(context, guest, tier),
    await batchRow(context, guest, tier),
  ]
  await guest.plugin.close()
  await sandbox.close()
  return rows
}

async function kill({ plugin, instance }: Guest): Promise<number> {
  const { pid } = plugin
  if (pid === undefined) throw new Error('the plugin has no process')
  const startedMs = performance.now()
  process.kill(pid, 'SIGKILL')
  await waitFor(() => plugin.pid !== pid && plugin.state === 'serving', { timeoutMs: patienceMs, everyMs: 1 })
  await answerOf(instance)
  return performance.now() - startedMs
}

function row(what: string, samples: readonly number[], atMost: number): Measured {
  const figures = [
    { name: 'p50', value: median(samples), unit: 'ms' },
    { name: 'p95', value: quantile(samples, 0.95), unit: 'ms', atMost },
  ]
  return { what, figures, runs: samples.length }
}

async function callRow({ isQuick }: BenchContext, { instance }: Guest, tier: Tier): Promise<Row> {
  const item = JSON.stringify(scalerInput(1, metrics))
  const { p50, p99, samplesCount } = await timed(isQuick ? 500 : 2_000, async () => {
    const [answer] = await instance.call([item], decideCall(1_000))
    if (!answer?.ok) throw new Error(`the guest did not answer: ${answer?.message}`)
  })
  const figures = [
    { name: 'p50', value: p50, unit: 'ms', atMost: 0.2 },
    { name: 'p99', value: p99, unit: 'ms', atMost: 3 },
  ]
  return { what: `tier ${tier}: one call host → sandbox → host, jitless`, figures, runs: samplesCount }
}

async function batchRow({ isQuick }: BenchContext, { live }: Guest, tier: Tier): Promise<Row> {
  const hooks = hooksOf([live])
  const items = Array.from({ length: apps }, (_, index) => scalerInput(index, metrics))
  const { p50, samplesCount } = await timed(isQuick ? 500 : 2_000, async () => {
    const answers = await hooks.collect('scaler', 'decide', new Map([[live.name, items]])).get(live.name)
    if (answers?.length !== apps || answers.some(({ ok }) => !ok)) throw new Error('not every app got an answer')
  })
  const figures = [{ name: 'p50', value: p50, unit: 'µs an app', atMost: 15 }]
  return { what: `tier ${tier}: ${apps} apps through one scaler, jitless`, figures, runs: samplesCount }
}

async function weightRow({ plugin, instance }: Guest, tier: Tier): Promise<Row[]> {
  await answerOf(instance)
  if (!hasProc) return [{ what: `tier ${tier}: memory of a plugin process`, missing: 'needs Linux (/proc)' }]
  const { pssMb, privateMb } = await weightOf(plugin.pid ?? 0)
  const figures = [
    { name: 'PSS', value: pssMb, unit: 'MB' },
    { name: 'private', value: privateMb, unit: 'MB' },
  ]
  return [{ what: `tier ${tier}: memory of a plugin process`, figures, runs: 1 }]
}
