/** A plugin from nothing to its first answer, cold and from the warm spare; what its process and each further instance weigh. */
import { systemClock } from '../../runtime/clock.ts'
import type { Bundle, Sandbox } from '../../runtime/sandbox/sandbox.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import type { Bench, BenchContext, Row } from './bench.ts'
import { answerOf, instanceNamed, openGuest, quietLog, scalerBody, startSandbox } from './guests.ts'
import { hasProc, settledSpare, weightOf } from './processes.ts'
import { median, quantile } from './samples.ts'

const pluginsAtOnce = 4
const furtherInstances = 8

export const bench: Bench = {
  async run(context) {
    const bundle = await bundleGuest(scalerBody, 'plugin')
    const cold = await activateCold(context, bundle)
    if (!hasProc) {
      return [cold, { what: 'plugin activate → serving from the spare, memory', missing: 'needs Linux (/proc)' }]
    }
    const sandbox = await startSandbox(context)
    return [cold, await activateWarm(context, sandbox, bundle), ...(await weigh(sandbox, bundle))]
  },
}

/** What the plugins room does: load, describe, open with config; serving is what has answered. */
async function activate(sandbox: Sandbox, bundle: Bundle) {
  const startedMs = performance.now()
  const guest = await openGuest(sandbox, bundle)
  await answerOf(guest.instance)
  return { ms: performance.now() - startedMs, ...guest }
}

function row(what: string, samples: readonly number[], atMost: number): Row {
  const figures = [
    { name: 'p50', value: median(samples), unit: 'ms' },
    { name: 'p95', value: quantile(samples, 0.95), unit: 'ms', atMost },
  ]
  return { what, figures, runs: samples.length, note: 'load, describe, open, first answer; jitless' }
}

/** A sandbox of its own for each, so that no spare waits. */
async function activateCold({ isQuick, dir, after }: BenchContext, bundle: Bundle): Promise<Row> {
  const samples: number[] = []
  for (let run = 0; run < (isQuick ? 5 : 12); run += 1) {
    const sandbox = await createSandbox({ dataDir: dir, clock: systemClock, log: quietLog })
    after(() => sandbox.close())
    const { ms } = await activate(sandbox, bundle)
    samples.push(ms)
    await sandbox.close()
  }
  return row('plugin activate → serving, cold', samples, 150)
}

async function activateWarm({ isQuick }: BenchContext, sandbox: Sandbox, bundle: Bundle): Promise<Row> {
  const samples: number[] = []
  let { plugin } = await openGuest(sandbox, bundle)
  for (let run = 0; run < (isQuick ? 5 : 12); run += 1) {
    const spare = await settledSpare([plugin.pid])
    const before = plugin
    const next = await activate(sandbox, bundle)
    if (next.plugin.pid !== spare) throw new Error('the plugin was not started in the spare')
    samples.push(next.ms)
    plugin = next.plugin
    await before.close()
  }
  await plugin.close()
  return row('plugin activate → serving, from the warm spare', samples, 50)
}

async function weigh(sandbox: Sandbox, bundle: Bundle): Promise<Row[]> {
  const guests = []
  for (let index = 0; index < pluginsAtOnce; index += 1) {
    guests.push(await openGuest(sandbox, { ...bundle, plugin: `plugin-${index}` }))
  }
  for (const { instance } of guests) await answerOf(instance)
  const pids = guests.map(({ plugin }) => plugin.pid)
  await settledSpare(pids)
  const weights = await Promise.all(pids.map((pid) => weightOf(pid ?? 0)))
  const [first] = guests
  if (first === undefined) throw new Error('no plugin was opened')

  const before = await weightOf(first.plugin.pid ?? 0)
  const openMs: number[] = []
  for (let index = 0; index < furtherInstances; index += 1) {
    const startedMs = performance.now()
    const instance = await first.plugin.open(instanceNamed(`further-${index}`))
    openMs.push(performance.now() - startedMs)
    await answerOf(instance)
  }
  const after = await weightOf(first.plugin.pid ?? 0)
  const perInstance = (after.pssMb - before.pssMb) / furtherInstances
  for (const { plugin } of guests) await plugin.close()
  return [
    {
      what: 'memory of a plugin process',
      figures: [
        { name: 'PSS p50', value: median(weights.map(({ pssMb }) => pssMb)), unit: 'MB', atMost: 15 },
        { name: 'private p50', value: median(weights.map(({ privateMb }) => privateMb)), unit: 'MB' },
      ],
      runs: weights.length,
      note: `${pluginsAtOnce} plugins and a spare; in PSS the node program is shared by all that run it on this machine`,
    },
    {
      what: 'another instance of a plugin',
      figures: [
        { name: 'open p50', value: median(openMs), unit: 'ms', atMost: 15 },
        { name: 'PSS', value: perInstance, unit: 'MB', atMost: 2 },
      ],
      runs: openMs.length,
    },
  ]
}
