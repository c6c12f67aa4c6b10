/** `GET /api/v1/apps/{app}` of a whole running Orchestry against the same route on bare hono. */
import { fileURLToPath } from 'node:url'
import { type AppStatusView, appSpec } from '../support/app-spec.ts'
import { startOrchestry } from '../support/orchestry.ts'
import { waitFor } from '../support/wait-for.ts'
import { compare } from './against.ts'
import type { Bench } from './bench.ts'
import { startServer } from './replica.ts'

const path = '/api/v1/apps/shop'

export const bench: Bench = {
  async run(context) {
    const orchestry = await startOrchestry(context, { dataDir: context.dir })
    const one = { mode: 'manual', minReplicas: 1, maxReplicas: 1 }
    await orchestry.api('/api/v1/apps', { method: 'POST', body: appSpec('shop', { scaling: one }) })
    const app = await waitFor(
      async () => {
        const view = await orchestry.api<AppStatusView>(path)
        return view.serving === 1 && view
      },
      { timeoutMs: 15_000, what: 'the replica to serve' },
    )
    const script = fileURLToPath(new URL('./bare-hono.ts', import.meta.url))
    const bare = await startServer(context, script, [JSON.stringify(app)])
    const urls = { ours: `${orchestry.url}${path}`, other: `http://127.0.0.1:${bare.port}${path}` }
    const load = { rounds: context.isQuick ? 3 : 6, seconds: 1, connections: 16 }
    const { ratio, oursPerSecond, otherPerSecond, rounds } = await compare(urls, load)
    return [
      {
        what: 'API GET /apps/{app} against bare hono',
        figures: [
          { name: 'ratio', value: ratio, unit: '×', atLeast: 0.8 },
          { name: 'Orchestry', value: oursPerSecond, unit: '/s' },
          { name: 'bare hono', value: otherPerSecond, unit: '/s' },
        ],
        runs: rounds,
        note: `rounds in turns of ${load.seconds} s, ${load.connections} connections`,
      },
    ]
  },
}
