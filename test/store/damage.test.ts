import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemClock } from '../../runtime/clock.ts'
import type { OrchestryError } from '../../runtime/errors.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'

const pageBytes = 4096

async function filledStore(test?: TestContext): Promise<string> {
  const path = await tempDir(test)
  const store = await createLmdbStore({ path, clock: systemClock })
  const writes = Array.from({ length: 2_000 }, (_, number) => ({
    put: ['record', number],
    value: number === 1_000 ? 'needle' : 'x'.repeat(150),
  }))
  await store.write(writes)
  await store.write([{ put: ['large'], value: 'y'.repeat(50_000) }])
  await store.close()
  return path
}

async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(join(path, 'data.mdb'), 'r+')
  await file.write(bytes, 0, bytes.length, at)
  await file.close()
}

const zeros = new Uint8Array(pageBytes)
const noise = Uint8Array.from({ length: pageBytes }, (_, index) => (index * 7919 + 13) % 251)

describe('a damaged store', () => {
  const damages: [string, (path: string) => Promise<void>][] = [
    ['something that is no store at all', (path) => writeFile(join(path, 'data.mdb'), 'hello'.repeat(5_000))],
    ['an empty file', (path) => truncate(join(path, 'data.mdb'), 0)],
    ['no file', (path) => rm(join(path, 'data.mdb'))],
    ['half a file', async (path) => truncate(join(path, 'data.mdb'), (await stat(join(path, 'data.mdb'))).size >> 1)],
    [
      'both first pages zeroed',
      async (path) => {
        await overwrite(path, 0, zeros)
        await overwrite(path, pageBytes, zeros)
      },
    ],
    [
      'both first pages overwritten',
      async (path) => {
        await overwrite(path, 0, noise)
        await overwrite(path, pageBytes, noise)
      },
    ],
    [
      'one letter of a value changed',
      async (path) => {
        // Pages are copied when they change, so that the file also holds older copies of the same value.
        const text = await readFile(join(path, 'data.mdb'), 'latin1')
        for (const { index } of text.matchAll(/needle/g)) await overwrite(path, index, Buffer.from('N'))
      },
    ],
    [
      'one letter of a large value changed',
      async (path) => {
        const text = await readFile(join(path, 'data.mdb'), 'latin1')
        await overwrite(path, text.indexOf('yyyyy') + 30_000, Buffer.from('z'))
      },
    ],
    ['a later format', (path) => writeFile(join(path, 'format'), 'orchestry store 2\n')],
  ]
  for (const [what, damage] of damages) {
    it(`is refused, explained and left as it is: ${what}`, async (t) => {
      const path = await filledStore(t)
      await damage(path)
      const before = await readFile(join(path, 'data.mdb')).catch(() => undefined)
      await assert.rejects(createLmdbStore({ path, clock: systemClock }), (error: OrchestryError) => {
        assert.equal(error.code, 'ORC_STORE_CORRUPT')
        assert.ok(
          error.message.includes(path) && /Nothing was changed\. To restore: .*backup/.test(error.message),
          error.message,
        )
        return true
      })
      assert.deepEqual(await readFile(join(path, 'data.mdb')).catch(() => undefined), before)
    })
  }

  it('starts again when a backup was put back', async (t) => {
    const path = await filledStore(t)
    await copyFile(join(path, 'data.mdb'), join(path, 'backup'))
    await truncate(join(path, 'data.mdb'), 10_000)
    await assert.rejects(createLmdbStore({ path, clock: systemClock }), { code: 'ORC_STORE_CORRUPT' })
    await copyFile(join(path, 'backup'), join(path, 'data.mdb'))
    const store = await createLmdbStore({ path, clock: systemClock })
    assert.equal((await store.list({ prefix: ['record'] })).length, 2_000)
    await store.close()
  })
})

describe('any page of a store overwritten', () => {
  let pristine: string
  before(async () => {
    pristine = await filledStore()
    return () => removeDir(pristine)
  })
  it('is either noticed or was not in use: never a wrong or missing value, never the end of the process', async (t) => {
    t.after(() => removeDir(pristine))
    const pages = (await stat(join(pristine, 'data.mdb'))).size / pageBytes
    let noticed = 0
    for (let page = 2; page < pages; page += Math.ceil(pages / 12)) {
      const path = await tempDir(t)
      await copyFile(join(pristine, 'data.mdb'), join(path, 'data.mdb'))
      await overwrite(path, page * pageBytes, noise)
      try {
        const store = await createLmdbStore({ path, clock: systemClock })
        assert.equal((await store.list({ prefix: ['record'] })).length, 2_000)
        await store.close()
      } catch (error) {
        assert.equal((error as OrchestryError).code, 'ORC_STORE_CORRUPT')
        noticed += 1
      }
    }
    assert.ok(noticed > 5, `only ${noticed} of the damaged pages were noticed`)
  })
})

it('says so when the disk is full, keeps what was acknowledged, and goes on when there is room', async (t) => {
  const path = await tempDir(t)
  const filler = fileURLToPath(new URL('disk-filler.ts', import.meta.url))
  // A limit on the size of files stands for the full disk: the same failing write, without a disk of our own.
  const run = promisify(execFile)('sh', ['-c', 'ulimit -f 4096; exec "$0" "$@"', process.execPath, filler, path])
  const { stdout } = await run
  const { acknowledged, code, readable, told } = JSON.parse(stdout) as {
    acknowledged: number
    code: string
    readable: number
    told: string
  }
  assert.match(told, /did not reach the disk: .*File too large/)
  assert.equal(code, 'ORC_STORE_FAILED')
  assert.ok(acknowledged > 10)
  assert.equal(readable, acknowledged)

  const store = await createLmdbStore({ path, clock: systemClock })
  assert.equal((await store.list({ prefix: ['record'] })).length, acknowledged)
  await store.write([{ put: ['record', acknowledged], value: 1 }])
  await store.close()
})
