/** A replica of a whole running Orchestry is killed under load: out of rotation, replaced, and what it cost. */
import { setTimeout as sleep } from 'node:timers/promises'
import { provenMs } from '../../runtime/reconcile/backoff.ts'
import { appSpec, type InstanceRow } from '../support/app-spec.ts'
import { startLoad } from '../support/steady-load.ts'
import type { Bench } from './bench.ts'
import { findBuiltin } from './builtins.ts'
import { startWatched } from './rotation.ts'
import { quantile } from './samples.ts'

const app = 'web'
const replicas = 6
const requestsPerSecond = 100

export const bench: Bench = {
  async run(context) {
    const what = 'replica killed → out of rotation, replaced and in rotation'
    if (context.isQuick) return [{ what, missing: 'left out by --quick' }]
    const missing = ['http-health', 'proxy'].filter((name) => findBuiltin(name) === undefined)
    if (missing.length > 0) return [{ what, missing: `not there: ${missing.join(', ')}` }]
    const { orchestry, until } = await startWatched(context)
    const scaling = { mode: 'manual', minReplicas: replicas, maxReplicas: replicas }
    await orchestry.api('/api/v1/apps', { method: 'POST', body: appSpec(app, { scaling }) })
    await until(app, (ids) => ids.length === replicas)
    // Younger ones are taken for a failing app when they die, and wait longer each time.
    await sleep(provenMs + 500)
    const { instances } = await orchestry.api<{ instances: InstanceRow[] }>(`/api/v1/apps/${app}/instances`)
    const load = startLoad(context, `${orchestry.proxyUrl}/${app}/`, requestsPerSecond)
    const outMs: number[] = []
    const replacedMs: number[] = []
    for (const { id, pid } of instances) {
      if (pid === undefined) throw new Error(`replica ${id} has no pid`)
      await sleep(300)
      const startedMs = performance.now()
      process.kill(pid, 'SIGKILL')
      outMs.push(await until(app, (ids) => !ids.includes(id)))
      await until(app, (ids) => ids.length === replicas && !ids.includes(id))
      replacedMs.push(performance.now() - startedMs)
    }
    const { sent, failures } = await load.stop()
    return [
      {
        what,
        figures: [
          { name: 'out p50', value: quantile(outMs, 0.5), unit: 'ms' },
          { name: 'out, most', value: Math.max(...outMs), unit: 'ms', atMost: 500 },
          { name: 'replaced p50', value: quantile(replacedMs, 0.5), unit: 'ms' },
          { name: 'replaced, most', value: Math.max(...replacedMs), unit: 'ms', atMost: 2_000 },
          { name: 'failed GETs', value: failures.length, unit: `of ${sent}` },
        ],
        runs: outMs.length,
        note: `as the proxy sees it; one of ${replicas} replicas at a time, ${requestsPerSecond} requests/s`,
      },
    ]
  },
}
