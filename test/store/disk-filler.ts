/** A process that writes until the store refuses, and says on stdout how that went. Arguments: the store's folder. */
import { systemClock } from '../../runtime/clock.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'

const store = await createLmdbStore({ path: process.argv[2] ?? '', clock: systemClock })
let acknowledged = 0
let code: unknown
// As the runtime does: lmdb rejects a promise of its own beside ours.
process.on('unhandledRejection', () => undefined)
while (code === undefined && acknowledged < 10_000) {
  try {
    await store.write([{ put: ['record', acknowledged], value: 'x'.repeat(20_000) }])
    acknowledged += 1
  } catch (error) {
    code = (error as { code?: string }).code
  }
}
const readable = (await store.list({ prefix: ['record'] })).length
const told = store.problem()
process.stdout.write(JSON.stringify({ acknowledged, code, readable, told }))
await store.close()
