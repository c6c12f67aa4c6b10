/** One hook call: host → sandbox process → isolate and back, with the check of the answer that every call gets. */
import { bundleGuest } from '../support/guest-bundle.ts'
import type { Bench, Row } from './bench.ts'
import { hooksOf, openGuest, scalerBody, scalerInput, startSandbox } from './guests.ts'
import { timed } from './timed.ts'

export const bench: Bench = {
  async run(context) {
    const sandbox = await startSandbox(context)
    const bundle = await bundleGuest(scalerBody, 'one')
    const batch = new Map([['one', [scalerInput(1, { cpuPercent: 50, rps: 120 })]]])
    const rows: Row[] = []
    for (const isJit of [false, true]) {
      const { plugin, live } = await openGuest(sandbox, bundle, { isJit })
      const hooks = hooksOf([live])
      const { p50, p99, samplesCount } = await timed(context.isQuick ? 1_000 : 3_000, async () => {
        const answer = (await hooks.collect('scaler', 'decide', batch).get('one'))?.[0]
        if (!answer?.ok) throw new Error(`the guest did not answer: ${answer?.failure.message}`)
      })
      await plugin.close()
      rows.push({
        what: `one hook call host → sandbox → host, ${isJit ? 'with JIT' : 'jitless'}`,
        figures: [
          { name: 'p50', value: p50, unit: 'ms', atMost: 0.2 },
          { name: 'p99', value: p99, unit: 'ms', atMost: 3 },
        ],
        runs: samplesCount,
      })
    }
    return rows
  },
}
