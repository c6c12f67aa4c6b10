/** SOCK-01: sockets that command the machine, under every name they can be given. */
import assert from 'node:assert/strict'
import { link, mkdir, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createUnixCapability } from '../../runtime/capabilities/unix.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { startStreamServer } from '../support/stream-server.ts'
import { tempDir } from '../support/temp-dir.ts'

const skip = process.platform === 'linux' ? false : 'Unix sockets are granted on Linux only'
const body = 'return Promise.all(input.map((target) => tell(async () => (await ctx.unix.exchange({ target })).data)))'

const named = [
  '/run/docker.sock',
  '/var/run/docker.sock',
  '/run/user/1000/docker.sock',
  '/run/docker/containerd/containerd.sock',
  '/run/containerd/containerd.sock',
  '/run/k3s/containerd/containerd.sock',
  '/run/podman/podman.sock',
  '/run/user/1000/podman/podman.sock',
  '/run/crio/crio.sock',
  '/run/systemd/private',
  '/run/systemd/journal/socket',
  '/run/dbus/system_bus_socket',
  '/run/user/1000/bus',
  '/run/snapd.socket',
  '/tmp/ssh-XXXXabcd/agent.4711',
  '/run/user/1000/keyring/ssh',
  '/run/user/1000/gnupg/S.gpg-agent',
  '/tmp/.X11-unix/X0',
  '/proc/self/fd/3',
  '/dev/log',
  '/tmp/orchestry-0/0123456789abcdef.sock',
  '@abstract',
  '\0abstract',
  'relative.sock',
  '/run/app/../docker.sock',
  '/run//docker.sock',
]

test('SOCK-01: a socket of a runtime, an agent or a session, and an abstract name: the grant is refused, CAP_DENIED', {
  skip,
}, async (t) => {
  const capability = createUnixCapability({ clock: systemClock, reserved: [] })
  for (const path of named) {
    const problems = capability.check?.({ kind: 'unix', why: 'test', paths: [path] }) ?? []
    assert.match(
      problems.join(),
      /granted to nobody|abstract name|no absolute path|written out plainly|not printable/,
      path,
    )
  }
  // Had the operator's record been changed behind our back, it would not help.
  const guest = await openHostileGuest(t, { capability, grant: { kind: 'unix', why: 'test', paths: named }, body })
  assert.deepEqual(await guest.attack(named), Array(named.length).fill('ORC_CAPABILITY_DENIED'))
  assert.equal(guest.violations.length, named.length)
})

test('SOCK-01: our own socket, also through a link, a hard link or a linked folder: refused, CAP_DENIED, no connection', {
  skip,
}, async (t) => {
  const folder = await tempDir(t)
  const own = join(folder, 'data')
  const outside = join(folder, 'outside')
  await mkdir(own)
  await mkdir(outside)
  const server = await startStreamServer(t, (socket) => void socket.end('hello'), { path: join(own, 'proxy.sock') })
  await symlink(join(own, 'proxy.sock'), join(outside, 'linked.sock'))
  await link(join(own, 'proxy.sock'), join(outside, 'hard.sock'))
  await symlink(own, join(outside, 'folder'))
  await mkdir(join(outside, 'plain.sock'))
  const capability = createUnixCapability({ clock: systemClock, reserved: [own] })
  const paths = ['data/proxy.sock', 'outside/linked.sock', 'outside/folder/proxy.sock'].map((path) =>
    join(folder, path),
  )
  for (const path of paths)
    assert.match(capability.check?.({ kind: 'unix', why: 'test', paths: [path] }).join() ?? '', /Orchestry's own/, path)
  paths.push(join(outside, 'hard.sock'), join(outside, 'plain.sock'))
  const guest = await openHostileGuest(t, { capability, grant: { kind: 'unix', why: 'test', paths }, body })
  assert.deepEqual(await guest.attack(paths), Array(paths.length).fill('ORC_CAPABILITY_DENIED'))
  assert.equal(server.connections(), 0)
})

test('SOCK-01: a granted socket that is later replaced by a link to another one is not followed there', {
  skip,
}, async (t) => {
  const folder = await tempDir(t)
  const granted = join(folder, 'granted.sock')
  const mine = await startStreamServer(t, (socket) => void socket.end('mine'), { path: granted })
  const other = await startStreamServer(t, (socket) => void socket.end('other'), { path: join(folder, 'other.sock') })
  const capability = createUnixCapability({ clock: systemClock, reserved: [] })
  assert.deepEqual(capability.check?.({ kind: 'unix', why: 'test', paths: [granted] }), [])
  const guest = await openHostileGuest(t, { capability, grant: { kind: 'unix', why: 'test', paths: [granted] }, body })
  assert.deepEqual(await guest.attack([granted]), [''])
  await symlink(join(folder, 'other.sock'), join(folder, 'link'))
  await rename(join(folder, 'link'), granted)
  assert.deepEqual(await guest.attack([granted]), ['ORC_CAPABILITY_DENIED'])
  assert.deepEqual([mine.connections(), other.connections()], [1, 0])
})
