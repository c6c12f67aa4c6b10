import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import { createLock } from '../../runtime/plugins/lock.ts'
import type { LockEntry } from '../../runtime/plugins/plugins.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { tempDir } from '../support/temp-dir.ts'

const bundleOf = (source: string) => ({
  source,
  map: '{"m":1}',
  hash: createHash('sha256').update(source).digest('hex'),
})
const entryOf = (id: string, bundleHash: string) => ({ id, bundleHash, version: '1.0.0' }) as LockEntry

async function make(t: TestContext) {
  const dataDir = await tempDir(t)
  const store = createMemoryStore({ clock: systemClock })
  const files = async () =>
    [...(await readdir(join(dataDir, 'bundles')).catch((): string[] => []))].sort((a, b) => a.localeCompare(b))
  return { dataDir, files, lock: createLock({ store, dataDir }) }
}

test('a bundle is kept under its hash, read back whole, and keeping it twice changes nothing', async (t) => {
  const { lock, files } = await make(t)
  const bundle = bundleOf('module.exports.default = "\u00e9"')
  await Promise.all([lock.keepBundle(bundle), lock.keepBundle(bundle)])
  assert.deepEqual(await lock.readBundle(bundle.hash), bundle)
  assert.deepEqual(await files(), [`${bundle.hash}.js`, `${bundle.hash}.js.map`])
})

test('C54, PKG-12: a bundle that was changed or is gone is refused; without its map it still runs', async (t) => {
  const { lock, dataDir } = await make(t)
  const bundle = bundleOf('1')
  await lock.keepBundle(bundle)
  const path = join(dataDir, 'bundles', `${bundle.hash}.js`)
  await rm(`${path}.map`)
  assert.equal((await lock.readBundle(bundle.hash)).map, '')
  await writeFile(path, '2')
  await assert.rejects(lock.readBundle(bundle.hash), {
    code: 'ORC_PLUGIN_PACKAGE_INVALID',
    message: /not what was installed/,
  })
  await rm(path)
  await assert.rejects(lock.readBundle(bundle.hash), { code: 'ORC_PLUGIN_PACKAGE_INVALID', message: /cannot be read/ })
})

test('sweeping deletes what no entry needs, also what a crash left half written', async (t) => {
  const { lock, files, dataDir } = await make(t)
  await lock.sweep()
  const [needed, stale] = [bundleOf('1'), bundleOf('2')]
  await lock.keepBundle(needed)
  await lock.keepBundle(stale)
  await writeFile(join(dataDir, 'bundles', `${stale.hash}.js.123.abc`), 'hal')
  await lock.put(entryOf('a', needed.hash))
  await lock.sweep()
  assert.deepEqual(await files(), [`${needed.hash}.js`, `${needed.hash}.js.map`])
})

test('entries are listed until they are removed', async (t) => {
  const { lock } = await make(t)
  await lock.put(entryOf('@b/x', '1'))
  await lock.put(entryOf('a', '2'))
  await lock.put(entryOf('a', '3'))
  assert.deepEqual(
    (await lock.list()).map(({ id, bundleHash }) => [id, bundleHash]).sort(([a = ''], [b = '']) => a.localeCompare(b)),
    [
      ['@b/x', '1'],
      ['a', '3'],
    ],
  )
  await lock.remove('a')
  await lock.remove('a')
  assert.deepEqual(
    (await lock.list()).map(({ id }) => id),
    ['@b/x'],
  )
})
