/** The capability `files` on a real file system. What attackers try is in test/hostile/fs-*.test.ts. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { FileInfo } from '@orchestry/sdk'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createFilesCapability } from '../../runtime/capabilities/files.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { tempDir } from '../support/temp-dir.ts'

const isLinux = process.platform === 'linux'
const options = isLinux ? {} : { skip: 'files can be granted on Linux only' }
type Grant = Partial<Omit<GrantOf<'files'>, 'roots'>> & { read?: string[]; write?: string[] }

async function make(t: TestContext, { read = ['**'], write = ['**'], ...more }: Grant = {}, clock = systemClock) {
  const dir = await tempDir(t)
  const capability = createFilesCapability({ clock, reserved: [] })
  const grant: GrantOf<'files'> = {
    kind: 'files',
    why: 'test',
    roots: [{ name: 'data', path: dir, read, write }],
    ...more,
  }
  const guest = bindAs(capability, grant)
  const uses = () =>
    (guest.bound.usage()[0]?.targets ?? []).map(({ target, denied }) => `${denied > 0 ? 'not ' : ''}${target}`)
  t.after(() => guest.bound.dispose())
  return { ...guest, dir, capability, grant, uses, at: (path: string) => join(dir, path) }
}
const kb = (count: number) => 'x'.repeat(count * 1024)

test('what was written is read, listed, looked at, and gone when removed', options, async (t) => {
  const { call, at, uses } = await make(t)
  await mkdir(at('conf'))
  await call('files.write', 'data', 'conf/app.yaml', 'a: \u00e9\n')
  assert.equal(await call('files.read', 'data', 'conf/app.yaml'), 'a: \u00e9\n')
  await call('files.write', 'data', 'raw', 'AP8=', 'base64')
  assert.equal(await call('files.read', 'data', 'raw', { encoding: 'base64' }), 'AP8=')
  const listed = (await call('files.list', 'data')) as FileInfo[]
  assert.deepEqual(
    listed.map(({ path, bytes }) => [path, bytes]),
    [
      ['conf/app.yaml', 6],
      ['raw', 2],
    ],
  )
  assert.ok(Math.abs((listed[0]?.modifiedAtMs ?? 0) - Date.now()) < 60_000)
  assert.deepEqual(await call('files.stat', 'data', 'raw'), listed[1])
  assert.deepEqual(await call('files.list', 'data', 'conf'), [listed[0]])
  await call('files.remove', 'data', 'raw')
  await call('files.remove', 'data', 'raw')
  assert.equal(await call('files.stat', 'data', 'raw'), null)
  assert.deepEqual(uses().slice(0, 3), ['write data:conf/app.yaml', 'read data:conf/app.yaml', 'write data:raw'])
})

test('a write leaves one whole file that only its owner may read and nobody may run', options, async (t) => {
  const { call, dir, at } = await make(t)
  await writeFile(at('a'), 'old', { mode: 0o777 })
  await call('files.write', 'data', 'a', 'new')
  assert.equal(await readFile(at('a'), 'utf8'), 'new')
  assert.equal((await stat(at('a'))).mode & 0o7777, 0o600)
  assert.deepEqual(await readdir(dir), ['a'])
})

test('read and write are granted apart, and neither by the other', options, async (t) => {
  const { call, at, uses } = await make(t, { read: ['in/*'], write: ['out/*'] })
  await mkdir(at('in'))
  await mkdir(at('out'))
  await mkdir(at('other'))
  await writeFile(at('in/a'), 'a')
  await call('files.write', 'data', 'out/b', 'b')
  const denied = { code: 'ORC_CAPABILITY_DENIED' }
  await assert.rejects(call('files.read', 'data', 'out/b'), {
    ...denied,
    message: /data:out\/b is not granted for read/,
  })
  await assert.rejects(call('files.write', 'data', 'in/a', 'x'), denied)
  await assert.rejects(call('files.remove', 'data', 'in/a'), denied)
  await assert.rejects(call('files.read', 'data', 'other/c'), denied)
  await assert.rejects(call('files.list', 'data', 'other'), denied)
  await assert.rejects(call('files.read', 'nowhere', 'in/a'), {
    ...denied,
    message: /no granted root; there are: data/,
  })
  assert.deepEqual(
    ((await call('files.list', 'data')) as FileInfo[]).map(({ path }) => path),
    ['in/a', 'out/b'],
  )
  assert.ok(uses().includes('not read data:out/b'))
})

test('a large file is read in parts, and refused as a whole', options, async (t) => {
  const { call, at } = await make(t, { maxFileKb: 1 })
  await writeFile(at('big'), `${kb(2)}end`)
  await assert.rejects(call('files.read', 'data', 'big'), {
    code: 'ORC_CAPABILITY_LIMIT',
    message: /offset and maxBytes/,
  })
  assert.equal(await call('files.read', 'data', 'big', { offset: 2048 }), 'end')
  assert.equal(((await call('files.read', 'data', 'big', { maxBytes: 10_000 })) as string).length, 1024)
  assert.equal(await call('files.read', 'data', 'big', { offset: 9_999, maxBytes: 5 }), '')
})

test('tail tells what was appended, whole characters only', options, async (t) => {
  const { call, at } = await make(t)
  const tail = async (cursor?: string, maxBytes?: number) =>
    (await call('files.tail', 'data', 'log', cursor ?? null, maxBytes ?? null)) as { text: string; cursor: string }
  await writeFile(at('log'), 'old\n')
  const first = await tail()
  assert.equal(first.text, '')
  await writeFile(at('log'), 'one\n', { flag: 'a' })
  await writeFile(at('log'), Buffer.from([0x74, 0xc3]), { flag: 'a' })
  const second = await tail(first.cursor)
  assert.equal(second.text, 'one\nt')
  await writeFile(at('log'), Buffer.from([0xa9]), { flag: 'a' })
  const third = await tail(second.cursor)
  assert.deepEqual([third.text, (await tail(third.cursor)).text], ['\u00e9', ''])
  await writeFile(at('log'), '0123456789', { flag: 'a' })
  const part = await tail(third.cursor, 4)
  assert.deepEqual([part.text, (await tail(part.cursor)).text], ['0123', '456789'])
})

test('tail begins anew in a file that was rotated or cut off', options, async (t) => {
  const { call, at } = await make(t)
  const tail = async (cursor: string | null) =>
    (await call('files.tail', 'data', 'log', cursor)) as { text: string; cursor: string }
  await writeFile(at('log'), 'first\n')
  const { cursor } = await tail(null)
  await rename(at('log'), at('log.1'))
  await writeFile(at('log'), 'rotated, and longer than it was\n')
  const rotated = await tail(cursor)
  assert.equal(rotated.text, 'rotated, and longer than it was\n')
  await truncate(at('log'), 0)
  await writeFile(at('log'), 'cut\n', { flag: 'a' })
  assert.equal((await tail(rotated.cursor)).text, 'cut\n')
})

for (const [what, operation, args] of [
  ['a cursor that is none', 'files.tail', ['data', 'a', '1:2']],
  ['a negative offset', 'files.read', ['data', 'a', { offset: -1 }]],
  ['an option that is none', 'files.read', ['data', 'a', { follow: true }]],
  ['data that is no base64', 'files.write', ['data', 'a', 'a', 'base64']],
  ['half a character', 'files.write', ['data', 'a', '\ud800']],
  ['a path that is a number', 'files.read', ['data', 1]],
] as const) {
  test(`${what} is refused as an argument`, options, async (t) => {
    const { call } = await make(t)
    await assert.rejects(call(operation, ...args), { code: 'ORC_CAPABILITY_ARGUMENT' })
  })
}

test('what is not there, or may not be used, is told in our words', options, async (t) => {
  const { call, dir } = await make(t)
  const failed = { code: 'ORC_CAPABILITY_FAILED' }
  await assert.rejects(call('files.read', 'data', 'a'), { ...failed, message: 'ctx.files: data:a does not exist' })
  await assert.rejects(call('files.write', 'data', 'x/a', ''), {
    ...failed,
    message: 'ctx.files: data:x does not exist',
  })
  await rm(dir, { recursive: true })
  await assert.rejects(call('files.read', 'data', 'a'), { ...failed, message: /there is no directory/ })
  await mkdir(dir)
  await writeFile(join(dir, 'a'), 'again')
  assert.equal(await call('files.read', 'data', 'a'), 'again', 'the directory that stands there now')
})

test('the quota counts blocks and files, what lay there before too, and removing gives back', options, async (t) => {
  const { call, at } = await make(t, { quotaKb: 16, maxFiles: 3, maxFileKb: 16 })
  await writeFile(at('before'), kb(4))
  await call('files.write', 'data', 'a', kb(8))
  const limit = { code: 'ORC_CAPABILITY_LIMIT', message: /Nothing was written/ }
  await assert.rejects(call('files.write', 'data', 'b', kb(5)), limit)
  await call('files.write', 'data', 'b', '')
  await assert.rejects(call('files.write', 'data', 'c', ''), limit)
  await assert.rejects(call('files.write', 'data', 'a', kb(9)), limit)
  await call('files.write', 'data', 'a', kb(4))
  await assert.rejects(call('files.write', 'data', 'c', ''), { ...limit, message: /3 files are kept already/ })
  await call('files.remove', 'data', 'before')
  await call('files.write', 'data', 'c', kb(8))
  assert.equal(await call('files.stat', 'data', 'before'), null)
})

test(
  'only what the plugin may write is counted, and what an ended process left half done is removed',
  options,
  async (t) => {
    const { call, at, dir } = await make(t, { write: ['out/**'], quotaKb: 8 })
    await mkdir(at('out'))
    await writeFile(at('big'), kb(100))
    const leftover = at('out/.orchestry-01234567-89ab-cdef-0123-456789abcdef.tmp')
    await writeFile(leftover, kb(8))
    const longAgo = Date.now() / 1000 - 7_200
    await utimes(leftover, longAgo, longAgo)
    await call('files.write', 'data', 'out/a', 'x')
    assert.deepEqual((await readdir(dir, { recursive: true })).sort(), ['big', 'out', 'out/a'])
  },
)

test('what others removed is noticed', options, async (t) => {
  const clock = createFakeClock()
  const { call, at } = await make(t, { quotaKb: 4 }, clock)
  await call('files.write', 'data', 'a', 'x')
  await rm(at('a'))
  await clock.advance(1_000)
  await call('files.write', 'data', 'b', 'x')
})

test('a root is what its real path is', options, async (t) => {
  const { dir, capability, at } = await make(t)
  const check = (path: string, reserved: readonly string[] = []) =>
    createFilesCapability({ clock: systemClock, reserved }).check?.({
      kind: 'files',
      why: 'test',
      roots: [{ name: 'data', path, read: ['*'] }],
    })
  await mkdir(at('own'))
  await symlink('/proc', at('link'))
  await symlink(at('own'), at('fine'))
  assert.deepEqual(check(at('own')), [])
  assert.deepEqual(check(at('fine')), [])
  for (const path of [
    '/',
    '/proc',
    '/proc/self',
    '/sys',
    '/dev',
    '/run',
    '/var/run/x',
    '/var',
    at('link'),
    at('link/1'),
  ])
    assert.equal(check(path)?.length, 1, path)
  for (const path of ['relative', '/a/../b', '//a', '/a/./b'])
    assert.match(check(path)?.[0] ?? '', /not (absolute|plain)/)
  for (const path of [dir, at('own'), at('own/deeper'), at('fine')])
    assert.match(check(path, [at('own')])?.[0] ?? '', /belongs to Orchestry itself/)
  assert.deepEqual(check(at('beside'), [at('own')]), [])
  await assert.rejects(
    async () =>
      capability.pin?.({ kind: 'files', why: 'test', roots: [{ name: 'data', path: at('link'), read: ['*'] }] }),
    { code: 'ORC_CAPABILITY_DENIED', message: /\/proc, which belongs to the system/ },
  )
})

for (const [what, grant, why] of [
  ['two **', { roots: [{ name: 'a', path: '/srv/a', read: ['**/**/**'] }] }, /more than one \*\*/],
  ['a root for nothing', { roots: [{ name: 'a', path: '/srv/a' }] }, /grants nothing/],
  [
    'a quota of less than a block',
    { roots: [{ name: 'a', path: '/srv/a', write: ['*'] }], quotaKb: 3 },
    /at least 4 KB/,
  ],
  [
    'one name for two roots',
    {
      roots: [
        { name: 'a', path: '/srv/a', read: ['*'] },
        { name: 'a', path: '/srv/b', read: ['*'] },
      ],
    },
    /two roots/,
  ],
] as const) {
  test(`a grant with ${what} is refused`, options, () => {
    const capability = createFilesCapability({ clock: systemClock, reserved: [] })
    const roots = grant.roots.map((root) => JSON.parse(JSON.stringify(root)) as GrantOf<'files'>['roots'][number])
    const problems = capability.check?.({ kind: 'files', why: 'test', ...grant, roots }) ?? []
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', why)
  })
}

test('C34: where there is no Linux, files cannot be granted', () => {
  const capability = createFilesCapability({ clock: systemClock, reserved: [], platform: 'darwin' })
  const grant: GrantOf<'files'> = { kind: 'files', why: 'test', roots: [{ name: 'a', path: '/srv', read: ['*'] }] }
  assert.match(capability.check?.(grant)[0] ?? '', /on Linux only; this machine runs darwin/)
  assert.throws(() => capability.use(grant, { plugin: 'p', instance: 'i' }), { code: 'ORC_CAPABILITY_DENIED' })
})

test('narrowed, a grant holds the files that were touched and no others', () => {
  const capability = createFilesCapability({ clock: systemClock, reserved: [] })
  const root = { name: 'data', path: '/srv/a', read: ['conf/*', '**'], write: ['out/**'] }
  const other = { name: 'other', path: '/srv/b', read: ['*'] }
  const grant: GrantOf<'files'> = { kind: 'files', why: 'test', roots: [root, other], quotaKb: 8 }
  const narrow = (...targets: string[]) => capability.narrow?.(grant, targets)?.roots
  const { write: _write, read: _read, ...bare } = root
  assert.deepEqual(narrow('read data:conf/b', 'read data:conf/a', 'tail data:conf/a'), [
    { ...bare, read: ['conf/a', 'conf/b'] },
  ])
  assert.deepEqual(narrow('write data:out/x/y', 'remove data:out/z'), [{ ...bare, write: ['out/x/y', 'out/z'] }])
  assert.deepEqual(narrow('list data:', 'write data:out/z'), [{ ...bare, read: root.read, write: ['out/z'] }])
  assert.deepEqual(narrow('read other:a'), [{ ...other, read: ['a'] }])
  assert.deepEqual(narrow('read data:a[1]'), [{ ...bare, read: root.read }], 'a name that cannot stand as a pattern')
  assert.equal(narrow('read data:.hidden', 'nonsense'), undefined)
  assert.equal(narrow(), undefined)
})
