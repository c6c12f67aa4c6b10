/**
 * A process that is meant to be killed: writes numbered records without end, many at once, and says on stdout which are
 * acknowledged. Arguments: the store's folder.
 */
import { systemClock } from '../../runtime/clock.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'

const store = await createLmdbStore({ path: process.argv[2] ?? '', clock: systemClock })
const write = async (writer: number): Promise<void> => {
  for (let number = 0; ; number += 1) {
    await store.write([
      { put: ['record', writer, number], value: { number, padding: 'x'.repeat(200) } },
      { put: ['newest', writer], value: number },
    ])
    process.stdout.write(`${writer} ${number}\n`)
  }
}
await Promise.all(Array.from({ length: 50 }, (_, writer) => write(writer)))
