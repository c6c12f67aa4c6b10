/** Events appended to the real store; each append is on disk before it counts. */
import { join } from 'node:path'
import { systemClock } from '../../runtime/clock.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createEvents } from '../../runtime/events/log.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import type { Bench } from './bench.ts'
import { quietLog } from './guests.ts'
import { timed } from './timed.ts'

const batch = 100
const writers = 8

const eventOf = (number: number): NewEvent => ({
  type: 'app.scaled',
  app: `app-${number % 50}`,
  data: { from: 3, to: 4, reason: 'cpuPercent is 91 % of its target over 3 replicas', decision: `${number}` },
})

export const bench: Bench = {
  async run({ dir, isQuick, after }) {
    const store = await createLmdbStore({ path: join(dir, 'state'), clock: systemClock })
    const events = createEvents({ store, clock: systemClock, log: quietLog })
    after(async () => {
      await events.stop()
      await store.close()
    })
    let appended = 0
    const startedMs = performance.now()
    const untilMs = startedMs + (isQuick ? 1_500 : 4_000)
    const write = async () => {
      while (performance.now() < untilMs) {
        const stored = await events.append(Array.from({ length: batch }, (_, index) => eventOf(appended + index)))
        appended += stored.length
      }
    }
    await Promise.all(Array.from({ length: writers }, write))
    const perSecond = appended / ((performance.now() - startedMs) / 1000)
    const alone = await timed(isQuick ? 500 : 1_000, async () => void (await events.append([eventOf(1)])))
    return [
      {
        what: 'events: durable append, batched',
        figures: [{ value: perSecond, unit: '/s', atLeast: 20_000 }],
        runs: appended / batch,
        note: `batches of ${batch}, ${writers} under way`,
      },
      {
        what: 'events: one alone, until it is on disk',
        figures: [
          { name: 'p50', value: alone.p50, unit: 'ms' },
          { name: 'p99', value: alone.p99, unit: 'ms' },
        ],
        runs: alone.samplesCount,
      },
    ]
  },
}
