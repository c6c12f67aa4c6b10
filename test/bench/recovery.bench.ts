/** A sandbox process is killed from outside: how long until its plugin answers again, and who else notices. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Bundle, Sandbox } from '../../runtime/sandbox/sandbox.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import { waitFor } from '../support/wait-for.ts'
import type { Bench, Row } from './bench.ts'
import { answerOf, decideCall, type Guest, openGuest, scalerBody, startSandbox } from './guests.ts'
import { type Meanwhile, watching } from './meanwhile.ts'
import { hasProc, isGone, settledSpare } from './processes.ts'
import { median, quantile } from './samples.ts'

/** Calls under way when the process dies. */
const burst = 20
const patienceMs = 5_000

interface Recovery extends Meanwhile {
  readonly servingMs: number
  readonly lostCalls: number
}

export const bench: Bench = {
  async run(context) {
    const what = 'sandbox host killed → plugin serving'
    if (!hasProc) return [{ what, missing: 'needs Linux (/proc)' }]
    const sandbox = await startSandbox(context)
    const bundle = await bundleGuest(scalerBody, 'victim')
    const neighbour = await openGuest(sandbox, { ...bundle, plugin: 'neighbour' })
    await answerOf(neighbour.instance)
    const runs = context.isQuick ? 4 : 10
    const rows: Row[] = []
    const all: Recovery[] = []
    for (const hasSpare of [true, false]) {
      const recoveries: Recovery[] = []
      for (let run = 0; run < runs; run += 1) recoveries.push(await recover(sandbox, bundle, neighbour, hasSpare))
      all.push(...recoveries)
      const samples = recoveries.map(({ servingMs }) => servingMs)
      rows.push({
        what: `${what}, ${hasSpare ? 'from the spare' : 'without a spare'}`,
        figures: [
          { name: 'p50', value: median(samples), unit: 'ms' },
          { name: 'p95', value: quantile(samples, 0.95), unit: 'ms', atMost: hasSpare ? 60 : 300 },
        ],
        runs,
      })
    }
    rows.push({
      what: 'meanwhile, while sandbox hosts are killed',
      figures: [
        { name: 'host loop gap', value: Math.max(...all.map(({ loopGapMs }) => loopGapMs)), unit: 'ms', atMost: 50 },
        { name: 'neighbour, slowest call', value: Math.max(...all.map((one) => one.slowestCallMs)), unit: 'ms' },
        { name: 'calls lost', value: all.reduce((sum, one) => sum + one.lostCalls, 0), unit: '', atMost: 0 },
      ],
      runs: all.length,
      note: `longest of all; ${burst} calls under way each time, each must settle`,
    })
    return rows
  },
}

/** A plugin of its own each time: one that dies again within a minute is made to wait, and that is not measured here. */
async function recover(sandbox: Sandbox, bundle: Bundle, neighbour: Guest, hasSpare: boolean): Promise<Recovery> {
  const { plugin, instance } = await openGuest(sandbox, bundle)
  await answerOf(instance)
  const pid = plugin.pid
  if (pid === undefined) throw new Error('the plugin has no process')
  const spare = await settledSpare([pid, neighbour.plugin.pid])
  if (!hasSpare) {
    process.kill(spare, 'SIGKILL')
    await waitFor(() => isGone(spare), { everyMs: 1 })
    // It is gone for the kernel; the host hears of it in one of its next turns.
    for (let turns = 0; turns < 5; turns += 1) await turn()
  }
  const { result, meanwhile } = await watching(neighbour.instance, async () => {
    let unsettled = burst
    const calls = Array.from({ length: burst }, async () => {
      await instance.call(['{}'], decideCall(1_000))
      unsettled -= 1
    })
    const startedMs = performance.now()
    process.kill(pid, 'SIGKILL')
    await answersAgain(instance, startedMs + patienceMs)
    const servingMs = performance.now() - startedMs
    await Promise.race([Promise.all(calls), new Promise((resolve) => setTimeout(resolve, 2_000).unref())])
    return { servingMs, lostCalls: unsettled }
  })
  if (plugin.pid === pid || plugin.restarts !== 1) throw new Error('the plugin was not restarted')
  await plugin.close()
  return { ...result, ...meanwhile }
}

async function answersAgain(instance: Guest['instance'], untilMs: number): Promise<void> {
  for (;;) {
    try {
      return await answerOf(instance)
    } catch (error) {
      if (performance.now() > untilMs) throw error
      await turn()
    }
  }
}
