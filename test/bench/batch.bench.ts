/** 1,000 apps through one scaler, in the messages that the hooks room makes of them. */
import { limits } from '../../runtime/limits.ts'
import { bundlePlugin } from '../../runtime/plugins/bundle.ts'
import type { Bundle, Sandbox } from '../../runtime/sandbox/sandbox.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import type { Bench, Measured, Row } from './bench.ts'
import { findBuiltin } from './builtins.ts'
import { hooksOf, openGuest, scalerBody, scalerInput, startSandbox } from './guests.ts'
import { timed } from './timed.ts'

const apps = 1_000
const few = { cpuPercent: 50, rps: 120 }
const many = { ...few, memoryPercent: 40, latencyP95Ms: 80, activeConnections: 12 }
const builtin = 'threshold-scaler'

interface Case {
  readonly what: string
  readonly bundle: Bundle
  readonly isJit: boolean
  readonly metrics: Readonly<Record<string, number>>
}

export const bench: Bench = {
  async run(context) {
    const sandbox = await startSandbox(context)
    const forMs = context.isQuick ? 800 : 2_500
    const bundle = await bundleGuest(scalerBody, 'own')
    const rows: Row[] = []
    for (const isJit of [false, true]) {
      const what = `1,000 apps through one scaler, ${isJit ? 'with JIT' : 'jitless'}`
      const { p50, p99, runs, note } = await measure(sandbox, { what, bundle, isJit, metrics: few }, forMs)
      const [atMost, atLeast] = isJit ? [10, 100_000] : [15, undefined]
      rows.push({
        what,
        figures: [
          { name: 'p50', value: p50, unit: 'µs an app', atMost },
          { name: 'p99', value: p99, unit: 'µs an app' },
          { value: 1e6 / p50, unit: 'decisions/s', ...(atLeast === undefined ? {} : { atLeast }) },
        ],
        runs,
        note,
      })
    }
    rows.push(await measureBuiltin(sandbox, forMs))
    return rows
  },
}

/** Milliseconds for 1,000 apps are microseconds for one. */
async function measure(sandbox: Sandbox, { bundle, isJit, metrics }: Case, forMs: number) {
  const { plugin, live } = await openGuest(sandbox, bundle, { isJit })
  const hooks = hooksOf([live])
  const items = Array.from({ length: apps }, (_, index) => scalerInput(index, metrics))
  const { p50, p99, samplesCount } = await timed(forMs, async () => {
    const answers = (await hooks.collect('scaler', 'decide', new Map([[live.name, items]])).get(live.name)) ?? []
    const bad = answers.find(({ ok }) => !ok)
    if (answers.length !== apps || bad) throw new Error(`not every app got an answer: ${JSON.stringify(bad)}`)
  })
  await plugin.close()
  const messages = Math.ceil(apps / limits.batchItems)
  const kb = Math.round(JSON.stringify(items).length / 1024)
  return { p50, p99, runs: samplesCount, note: `${messages} messages, together ${kb} KB` }
}

async function measureBuiltin(sandbox: Sandbox, forMs: number): Promise<Row> {
  const what = `the same through the built-in ${builtin}, jitless`
  const dir = findBuiltin(builtin)
  if (dir === undefined) return { what, missing: 'not there' }
  const { source, hash } = await bundlePlugin(dir, 'plugin.ts')
  const bundle = { plugin: builtin, version: '1.0.0', source, hash }
  const { p50, p99, runs, note } = await measure(sandbox, { what, bundle, isJit: false, metrics: many }, forMs)
  const figures: Measured['figures'] = [
    { name: 'p50', value: p50, unit: 'µs an app' },
    { name: 'p99', value: p99, unit: 'µs an app' },
    { value: 1e6 / p50, unit: 'decisions/s' },
  ]
  return { what, figures, runs, note }
}
