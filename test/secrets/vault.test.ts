import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createVault } from '../../runtime/secrets/vault.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { tempDir } from '../support/temp-dir.ts'

const value = 'correct-horse-battery'

async function world(t: TestContext) {
  const dataDir = await tempDir(t)
  const clock = createFakeClock()
  const store = createMemoryStore({ clock })
  const events: NewEvent[] = []
  const errors: unknown[] = []
  const log = { error: (...entry: unknown[]) => void errors.push(entry) } as never
  const open = () => createVault({ store, dataDir, clock, log, events: { emit: (event) => void events.push(event) } })
  return { dataDir, keyFile: join(dataDir, 'secrets.key'), clock, store, events, errors, open }
}

test('a secret is kept: over a restart, replaced, removed', async (t) => {
  const w = await world(t)
  const vault = await w.open()
  assert.deepEqual([vault.list(), vault.value('db'), vault.problem()], [[], undefined, undefined])
  const nowMs = w.clock.now()
  assert.deepEqual(await vault.put('db', value), { name: 'db', createdAtMs: nowMs, updatedAtMs: nowMs })
  await w.clock.advance(1_000)
  await vault.put('api.Key_2', 'another value, with ü and \n a line')
  const again = await w.open()
  assert.deepEqual([again.value('db'), again.value('api.Key_2')], [value, 'another value, with ü and \n a line'])
  assert.deepEqual(await again.put('db', 'a new value'), { name: 'db', createdAtMs: nowMs, updatedAtMs: nowMs + 1_000 })
  assert.deepEqual(
    again.list().map(({ name }) => name),
    ['api.Key_2', 'db'],
  )
  await again.remove('db')
  assert.equal(again.value('db'), undefined)
  await assert.rejects(again.remove('db'), { code: 'ORC_SECRET_UNKNOWN', message: /no secret "db"/ })
  assert.equal((await w.open()).value('db'), undefined)
})

test('C42: a value is hidden from the moment it is known, and still when it was replaced or removed', async (t) => {
  const w = await world(t)
  const vault = await w.open()
  await vault.put('db', value)
  assert.equal(vault.redact(`x ${value}`), 'x ***')
  await vault.put('db', 'a-second-value')
  await vault.remove('db')
  assert.equal(vault.redact(`${value} a-second-value`), '*** ***')
  assert.deepEqual(vault.redactData({ a: [value] }), { a: ['***'] })
})

test('what happened is told without the value', async (t) => {
  const w = await world(t)
  const vault = await w.open()
  await vault.put('db', value)
  await vault.put('db', `${value}2`)
  await vault.remove('db')
  assert.deepEqual(w.events, [
    { type: 'secret.stored', data: { secret: 'db', isNew: true } },
    { type: 'secret.stored', data: { secret: 'db', isNew: false } },
    { type: 'secret.removed', data: { secret: 'db' } },
  ])
})

test('C41: on disk stand neither value nor key, except in a file of its own that nobody else can read', async (t) => {
  const dataDir = await tempDir(t)
  const log = { error() {}, warn() {} } as never
  const store = await createLmdbStore({ path: join(dataDir, 'state'), clock: systemClock, log })
  const vault = await createVault({ store, dataDir, clock: systemClock, log, events: { emit() {} } })
  await vault.put('db', value)
  await store.close()
  const key = await readFile(join(dataDir, 'secrets.key'))
  assert.equal(key.length, 32)
  assert.equal((await stat(join(dataDir, 'secrets.key'))).mode & 0o777, 0o600)
  const state = await readFile(join(dataDir, 'state', 'data.mdb')).catch(() => readFile(join(dataDir, 'state')))
  for (const needle of [value, Buffer.from(value).toString('base64'), key, key.toString('base64')])
    assert.equal(state.includes(needle), false)
  assert.equal(state.includes('sealed'), true)
})

test('C41: the same value is never sealed the same way twice, and is bound to its name', async (t) => {
  const w = await world(t)
  const vault = await w.open()
  for (const name of ['aa', 'bb', 'cc']) await vault.put(name, name === 'cc' ? 'of-cc-alone' : value)
  const [a, b, c] = await w.store.list<{ sealed: string }>({ prefix: ['secrets'] })
  assert.notEqual(a?.value.sealed, b?.value.sealed)
  await w.store.write([{ put: ['secrets', 'aa'], value: c?.value }])
  const swapped = await w.open()
  assert.deepEqual([swapped.value('aa'), swapped.value('bb'), swapped.value('cc')], [undefined, value, 'of-cc-alone'])
  assert.match(swapped.problem() ?? '', /opens the other secrets but not aa: set them anew/)
  await swapped.put('aa', value)
  assert.equal(swapped.problem(), undefined)
})

const badKeys: [string, (file: string) => Promise<unknown>, RegExp][] = [
  ['that others can read', (file) => chmod(file, 0o640), /its mode is 640, not 600\)\. .*chmod 600/],
  ['that is too short', (file) => writeFile(file, 'short'), /has 5 bytes, not 32\. Put it back from a backup/],
  ['that is another one', (file) => writeFile(file, randomBytes(32)), /is not the one that they were stored with/],
  ['that is gone', (file) => rm(file), /is not there\. Put it back from a backup/],
  ['that is a folder', (file) => rm(file).then(() => mkdir(file, 0o700)), /is not a file/],
  ['that is a link', (file) => rename(file, `${file}.x`).then(() => symlink(`${file}.x`, file)), /symbolic link/],
]
for (const [title, spoil, words] of badKeys)
  test(`C41: a key ${title} is not used, and nothing is lost by it`, async (t) => {
    const w = await world(t)
    await (await w.open()).put('db', value)
    await rename(w.keyFile, `${w.keyFile}.good`)
    await writeFile(w.keyFile, await readFile(`${w.keyFile}.good`), { mode: 0o600 })
    await spoil(w.keyFile)
    const vault = await w.open()
    assert.match(vault.problem() ?? '', words)
    assert.match(vault.problem() ?? '', /Nothing was lost/)
    assert.equal(w.errors.length, 1)
    assert.equal(vault.value('db'), undefined)
    assert.equal(vault.list().length, 1)
    await assert.rejects(vault.put('other', value), { code: 'ORC_SECRET_KEY_UNUSABLE', message: words })
    await rm(w.keyFile, { recursive: true, force: true })
    await rename(`${w.keyFile}.good`, w.keyFile)
    await vault.put('other', value)
    assert.deepEqual([vault.value('db'), vault.problem()], [value, undefined])
    assert.equal((await w.open()).value('db'), value)
  })

test('where the key is gone for good, removing what it sealed lets everything begin anew', async (t) => {
  const w = await world(t)
  await (await w.open()).put('db', value)
  await rm(w.keyFile)
  const vault = await w.open()
  await vault.remove('db')
  assert.equal(vault.problem(), undefined)
  await vault.put('db', `${value}2`)
  assert.equal((await w.open()).value('db'), `${value}2`)
})

const refused: [string, string, string, RegExp][] = [
  ['an empty name', '', value, /"" is no name/],
  ['a path for a name', '../db', value, /"\.\.\/db" is no name/],
  ['a name with a star', 'db*', value, /is no name/],
  ['a name that is too long', 'a'.repeat(65), value, /is no name/],
  ['a short value', 'db', '1234567', /fewer than 8 characters/],
  ['a huge value', 'db', 'x'.repeat(32 * 1024 + 1), /longer than 32 KB/],
  ['half a character', 'db', '12345678\ud800', /not text/],
  ['NUL', 'db', '12345678\0', /without NUL/],
]
for (const [title, name, given, words] of refused)
  test(`refused, without a word of the value: ${title}`, async (t) => {
    const w = await world(t)
    const vault = await w.open()
    const error = await vault.put(name, given).then(
      () => assert.fail('stored'),
      (thrown: Error & { code: string }) => thrown,
    )
    assert.equal(error.code, 'ORC_SECRET_INVALID')
    assert.match(error.message, words)
    assert.match(error.message, /Nothing was stored\.$/)
    assert.equal(error.message.includes(given), false)
    assert.deepEqual(vault.list(), [])
  })

test('a store that refuses the write leaves the old value in use', async (t) => {
  const w = await world(t)
  const vault = await w.open()
  await vault.put('db', value)
  await w.store.close()
  await assert.rejects(vault.put('db', 'a-second-value'), { code: 'ORC_STORE_FAILED' })
  assert.equal(vault.value('db'), value)
  assert.equal(vault.redact('a-second-value'), '***')
})
