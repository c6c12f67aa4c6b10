/** The embedded proxy, in its own process as it really runs, against the same replica without it. */
import { makeDataplane } from '../support/dataplane.ts'
import { compare } from './against.ts'
import type { Bench } from './bench.ts'
import { startReplica } from './replica.ts'

export const bench: Bench = {
  async run(context) {
    const plane = await makeDataplane(context, { dataDir: context.dir })
    await plane.dataplane.start()
    const replica = await startReplica(context)
    await plane.dataplane.apply({
      app: 'shop',
      generation: 1,
      route: { path: '/shop/' },
      endpoints: [{ id: 'replica', host: '127.0.0.1', port: replica.port }],
      draining: [],
    })
    const urls = { ours: `${plane.url()}/shop/healthz`, other: `http://127.0.0.1:${replica.port}/healthz` }
    const load = { rounds: context.isQuick ? 2 : 4, seconds: 1, connections: 32 }
    const { ratio, oursPerSecond, otherPerSecond, rounds } = await compare(urls, load)
    return [
      {
        what: 'requests through the embedded proxy against direct',
        figures: [
          { name: 'ratio', value: ratio, unit: '×' },
          { name: 'proxied', value: oursPerSecond, unit: '/s' },
          { name: 'direct', value: otherPerSecond, unit: '/s' },
        ],
        runs: rounds,
        note: 'a replica that does nothing; proxied, three processes share the processors instead of two',
      },
    ]
  },
}
