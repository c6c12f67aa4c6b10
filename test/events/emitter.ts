/** A process that is meant to be killed: appends events without end, and says on stdout which are acknowledged. */
import { systemClock } from '../../runtime/clock.ts'
import { createEvents } from '../../runtime/events/log.ts'
import { createLog } from '../../runtime/log.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'

const [path = '', round = ''] = process.argv.slice(2)
const store = await createLmdbStore({ path, clock: systemClock })
const events = createEvents({ store, clock: systemClock, log: createLog({ level: 'error' }) })
const append = async (writer: number): Promise<void> => {
  for (let number = 0; ; number += 1) {
    const batch = [0, 1, 2].map((index) => ({
      type: 'app.scaled',
      app: 'shop',
      data: { name: `${round}-${writer}-${number}-${index}` },
    }))
    for (const { id, data } of await events.append(batch)) process.stdout.write(`${id} ${String(data.name)}\n`)
  }
}
await Promise.all(Array.from({ length: 20 }, (_, writer) => append(writer)))
