/** `orchestry secret`: a value goes in by standard input or a file, and comes out nowhere. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createApi } from '../../runtime/api/app.ts'
import { type ApiServer, listen } from '../../runtime/api/server.ts'
import { systemClock } from '../../runtime/clock.ts'
import type { Secrets } from '../../runtime/secrets/secrets.ts'
import { createVault } from '../../runtime/secrets/vault.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { createFakeRooms, makeApp, makePlugin } from '../support/fake-rooms.ts'
import { runCli } from '../support/orchestry-cli.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'

const value = 'correct-horse-battery'
let dir: string
let server: ApiServer
let secrets: Secrets

before(async () => {
  dir = await tempDir()
  const store = createMemoryStore({ clock: systemClock })
  secrets = await createVault({
    store,
    dataDir: dir,
    clock: systemClock,
    log: { error() {} } as never,
    events: { emit() {} },
  })
  const rooms = createFakeRooms({ secrets })
  rooms.addApp('shop', { app: makeApp('shop', { env: [{ name: 'PASSWORD', secret: 'db' }] }) })
  const grant = { kind: 'secrets' as const, mode: 'reveal' as const, names: ['db'], why: 'test' }
  rooms.plugins.set('@acme/queue', makePlugin('@acme/queue', { capabilities: [grant] }))
  server = await listen({ api: createApi(rooms.deps), host: '127.0.0.1', port: 0 })
})
after(async () => {
  await server.close()
  await removeDir(dir)
})

async function orchestry(args: string[], input = '') {
  const ended = await runCli(['secret', ...args], { env: { ORCHESTRY_URL: server.url }, input })
  assert.equal(`${ended.stdout}${ended.stderr}`.includes(value), false, 'the value is not shown')
  return ended
}

test('a value is set from standard input, without the line break at its end', async () => {
  const { code, stdout, stderr } = await orchestry(['set', 'db'], `${value}\n`)
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^db set\n {2}Replicas that start from now on get it: shop\n$/)
  assert.equal(secrets.value('db'), value)
})

test('a value is set from a file, other line breaks and all', async () => {
  const file = join(dir, 'key.pem')
  await writeFile(file, '-----BEGIN-----\nabc\n\n-----END-----\n')
  const { code, stdout } = await orchestry(['set', 'tls.key', '--file', file, '--json'])
  assert.equal(code, 0)
  assert.equal((JSON.parse(stdout) as { name: string }).name, 'tls.key')
  assert.equal(secrets.value('tls.key'), '-----BEGIN-----\nabc\n\n-----END-----')
})

test('secrets are listed with who may use them', async () => {
  const { code, stdout } = await orchestry(['list'])
  assert.equal(code, 0)
  assert.match(stdout, /^NAME +SET +APPS +PLUGINS\ndb +20\d\d-\S+ \S+ +shop +@acme\/queue\ntls\.key +20/)
  const listed = JSON.parse((await orchestry(['list', '--json'])).stdout) as { name: string }[]
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['db', 'tls.key'],
  )
})

test('a secret is removed, when somebody says that they are sure', async () => {
  const unsure = await orchestry(['remove', 'tls.key'])
  assert.deepEqual([unsure.code, secrets.value('tls.key') === undefined], [2, false])
  const { code, stdout } = await orchestry(['remove', 'tls.key', '-f'])
  assert.deepEqual([code, stdout, secrets.value('tls.key')], [0, 'tls.key removed\n', undefined])
  const again = await orchestry(['remove', 'tls.key', '-f'])
  assert.equal(again.code, 1)
  assert.match(again.stderr, /ORC_SECRET_UNKNOWN.*\n.*no secret "tls\.key"[\s\S]*orchestry secret list/)
})

const refused: [string, string[], string | undefined, number, RegExp][] = [
  ['a value on the command line', ['set', 'db', 'some-other-value'], '', 2, /never given on the command line/],
  ['no value at all', ['set', 'db'], '', 2, /value is empty\. Nothing was sent/],
  ['a short value', ['set', 'db'], 'short', 1, /ORC_SECRET_INVALID[\s\S]*fewer than 8 characters/],
  ['a name with a slash', ['set', '../db'], value, 1, /is no name/],
  ['a file that is not there', ['set', 'db', '--file', '/nowhere/at/all'], '', 2, /is not there\. Nothing was sent/],
]
for (const [title, args, input, wanted, words] of refused)
  test(`refused: ${title}`, async () => {
    const { code, stderr } = await orchestry(args, input)
    assert.equal(code, wanted, stderr)
    assert.match(stderr, words)
    assert.equal(stderr.includes('some-other-value'), false)
    assert.equal(secrets.value('db'), value)
  })

test('refused: bytes that are no text', async () => {
  const file = join(dir, 'bytes')
  await writeFile(file, Buffer.from([0x80, 0xff, 1, 2, 3, 4, 5, 6, 7, 8]))
  const { code, stderr } = await orchestry(['set', 'db', '--file', file])
  assert.equal(code, 2)
  assert.match(stderr, /not text in UTF-8/)
})
