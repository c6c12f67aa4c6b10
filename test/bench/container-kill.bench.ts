/** A container is killed under load: how long until nginx sends nothing there, and until another has its place. */
import { setTimeout as sleep } from 'node:timers/promises'
import { provenMs } from '../../runtime/reconcile/backoff.ts'
import { underLoad } from '../support/load-table.ts'
import type { Bench } from './bench.ts'
import { containersMissing, startContainers } from './containers.ts'
import { quantile } from './samples.ts'

const app = 'web'
const replicas = 4

export const bench: Bench = {
  async run(context) {
    const what = 'container killed → out of nginx, replaced and in nginx'
    if (context.isQuick) return [{ what, missing: 'left out by --quick' }]
    if (containersMissing !== false) return [{ what, missing: containersMissing }]
    const { world, until, inRotation } = await startContainers(context)
    await world.apply(app, { replicas })
    await until(app, (addresses) => addresses.length === replicas)
    // Younger ones are taken for a failing app when they die, and wait longer each time.
    await sleep(provenMs + 500)
    const outMs: number[] = []
    const replacedMs: number[] = []
    const row = await underLoad(context, what, world.clients(app), async (load) => {
      for (const victim of await world.instances(app)) {
        const known = new Set(await inRotation(app))
        load.risk()
        await world.kill(victim)
        const startedMs = performance.now()
        outMs.push(await until(app, (addresses) => addresses.length > 0 && addresses.length < known.size))
        await until(app, (addresses) => addresses.length === replicas)
        replacedMs.push(performance.now() - startedMs)
        await world.settled(app, replicas)
      }
    })
    return [
      {
        what,
        figures: [
          { name: 'out p50', value: quantile(outMs, 0.5), unit: 'ms' },
          { name: 'out, most', value: Math.max(...outMs), unit: 'ms', atMost: 500 },
          { name: 'replaced p50', value: quantile(replacedMs, 0.5), unit: 'ms' },
          { name: 'replaced, most', value: Math.max(...replacedMs), unit: 'ms', atMost: 2_000 },
          { name: 'failed', value: row.failures.length, unit: `of ${row.requests}`, atMost: row.atRisk },
          { name: 'slowest', value: row.slowestMs, unit: 'ms' },
        ],
        runs: outMs.length,
        note: `from the engine's answer to the kill; one of ${replicas} at a time, GET and POST; at most those in flight may fail`,
      },
    ]
  },
}
