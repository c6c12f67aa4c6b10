import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { chmod, chown, mkdir, realpath, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Chunk } from '@orchestry/sdk'
import { createUnixCapability } from '../../runtime/capabilities/unix.ts'
import { pathRefusal } from '../../runtime/capabilities/unix-path.ts'
import { holdSocket } from '../../runtime/capabilities/unix-walk.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { startStreamServer } from '../support/stream-server.ts'
import { tempDir } from '../support/temp-dir.ts'

const skip = process.platform === 'linux' ? false : 'Unix sockets are granted on Linux only'
const skipUnlessRoot = skip || (process.getuid?.() === 0 ? false : 'only root gives files away')
const capability = createUnixCapability({ clock: systemClock, reserved: [] })

test('a granted socket is spoken to, by its exact path and no other', { skip }, async (t) => {
  const folder = await realpath(await tempDir(t))
  const path = join(folder, 'app.sock')
  const server = await startStreamServer(t, (socket) => void socket.on('data', (data) => socket.end(`<${data}>`)), {
    path,
  })
  assert.deepEqual(capability.check?.({ kind: 'unix', why: 'test', paths: [path] }), [])
  const { call, bound } = bindAs(capability, { kind: 'unix', why: 'test', paths: [path] })
  t.after(() => bound.dispose())
  const answer = (await call('unix.exchange', { target: path, send: 'show stat\n', until: '>' })) as Chunk
  assert.equal(answer.data, '<show stat\n>')
  for (const other of [`${path}/`, `${folder}/./app.sock`, path.slice(1), `/proc/self/root${path}`])
    await assert.rejects(call('unix.exchange', { target: other }), { code: 'ORC_CAPABILITY_DENIED' })
  assert.equal(server.connections(), 1)
  assert.deepEqual(
    bound
      .usage()[0]
      ?.targets.filter(({ allowed }) => allowed > 0)
      .map(({ target }) => target),
    [`CONNECT ${path}`],
  )
})

test('a socket that is not there, or that nobody serves, is said in few words; no handle stays open', {
  skip,
}, async (t) => {
  const folder = await realpath(await tempDir(t))
  const path = join(folder, 'none.sock')
  const { call, bound } = bindAs(capability, { kind: 'unix', why: 'test', paths: [path] })
  t.after(() => bound.dispose())
  const handles = () => readdirSync('/proc/self/fd').length
  const refused = { code: 'ORC_NET_UNREACHABLE', message: 'ctx.unix: there is no such socket' }
  await assert.rejects(call('unix.exchange', { target: path }), refused)
  const before = handles()
  for (let round = 0; round < 20; round += 1) await assert.rejects(call('unix.exchange', { target: path }), refused)
  assert.ok(handles() <= before + 2, `${before} handles, then ${handles()}`)
})

test('what was held is what is connected to, whatever happens to its path meanwhile', { skip }, async (t) => {
  const folder = await realpath(await tempDir(t))
  const path = join(folder, 'a.sock')
  await startStreamServer(t, (socket) => void socket.end(), { path })
  const other = await startStreamServer(t, (socket) => void socket.end(), { path: join(folder, 'b.sock') })
  const held = await holdSocket(path, [])
  t.after(() => held.release())
  await rename(path, join(folder, 'moved.sock'))
  await symlink(join(folder, 'b.sock'), path)
  assert.equal(await realpath(held.path), join(folder, 'moved.sock'))
  await assert.rejects(holdSocket(path, []), { code: 'ORC_CAPABILITY_DENIED', message: /is no socket/ })
  assert.equal(other.connections(), 0)
})

test('C38: a socket that a stranger could have put there is not connected to', { skip: skipUnlessRoot }, async (t) => {
  const folder = await realpath(await tempDir(t))
  const stranger = 54_321
  const shared = join(folder, 'shared')
  await mkdir(shared)
  const path = join(shared, 'a.sock')
  const server = await startStreamServer(t, (socket) => void socket.end(), { path })
  const { call, bound } = bindAs(capability, { kind: 'unix', why: 'test', paths: [path] })
  t.after(() => bound.dispose())
  const connect = () => call('unix.exchange', { target: path })
  const denied = { code: 'ORC_CAPABILITY_DENIED', message: /lies where a stranger could have put it/ }
  await chown(path, stranger, stranger)
  await connect()
  await chmod(shared, 0o1777)
  await assert.rejects(connect(), denied)
  await chmod(shared, 0o775)
  await assert.rejects(connect(), denied)
  await chown(shared, stranger, stranger)
  await connect()
  await chmod(folder, 0o777)
  await assert.rejects(connect(), denied)
  assert.equal(server.connections(), 2)
})

test('the way to a socket that leads through a link is refused, and the grant says where to look', {
  skip,
}, async (t) => {
  const folder = await realpath(await tempDir(t))
  await mkdir(join(folder, 'real'))
  const real = join(folder, 'real', 'a.sock')
  await startStreamServer(t, (socket) => void socket.end(), { path: real })
  await symlink(join(folder, 'real'), join(folder, 'short'))
  const path = join(folder, 'short', 'a.sock')
  assert.deepEqual(capability.check?.({ kind: 'unix', why: 'test', paths: [path] }), [
    `paths: "${path}" is or lies behind a link; grant ${real}`,
  ])
  await assert.rejects(holdSocket(path, []), { code: 'ORC_CAPABILITY_DENIED', message: /through a link/ })
})

test('sockets of ordinary servers can be granted', () => {
  const paths = [
    '/run/postgresql/.s.PGSQL.5432',
    '/run/haproxy/admin.sock',
    '/run/php/php8.3-fpm.sock',
    '/run/mysqld/mysqld.sock',
    '/run/redis/redis-server.sock',
    '/var/lib/app/business.sock',
  ]
  for (const path of paths) assert.equal(pathRefusal(path), undefined, path)
})

test('narrowing keeps the paths that were used', () => {
  const grant = { kind: 'unix', why: 'test', paths: ['/run/a.sock', '/run/b.sock'] } as const
  const given = { ...grant, paths: [...grant.paths] }
  assert.deepEqual(capability.narrow?.(given, ['CONNECT /run/b.sock', 'read']), { ...given, paths: ['/run/b.sock'] })
  assert.equal(capability.narrow?.(given, ['read']), undefined)
})
