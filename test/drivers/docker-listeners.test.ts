import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOwnListener } from '../../runtime/capabilities/own-listeners.ts'
import { createUnixCapability } from '../../runtime/capabilities/unix.ts'
import { systemClock } from '../../runtime/clock.ts'
import { readConfig } from '../../runtime/config.ts'
import { createDockerListeners } from '../../runtime/drivers/docker-listeners.ts'
import { startStreamServer } from '../support/stream-server.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

test("the engine's socket is granted to no plugin, whatever it is called", {
  skip: process.platform !== 'linux' && 'Unix sockets are granted on Linux only',
}, async (t) => {
  const path = `${await tempDir(t)}/harmless.sock`
  await startStreamServer(t, (socket) => void socket.end(), { path })
  const check = (dockerHost: string) => {
    const reserved = createDockerListeners(dockerHost).sockets
    return createUnixCapability({ clock: systemClock, reserved }).check?.({ kind: 'unix', why: 'test', paths: [path] })
  }
  assert.deepEqual(check('unix:///var/run/docker.sock'), [])
  assert.match(check(`unix://${path}`)?.join() ?? '', /is Orchestry's own/)
  assert.match(check(path)?.join() ?? '', /is Orchestry's own/)
})

test("the engine's address is connected to by no plugin, also where it is written as a name", async () => {
  const { addresses } = createDockerListeners('tcp://localhost:2375')
  await waitFor(() => addresses().some(({ host }) => host === '127.0.0.1' || host === '::1'))
  const isOwn = (host: string, port: number) => isOwnListener(addresses(), host, port)
  assert.deepEqual([isOwn(addresses()[0]?.host ?? '', 2375), isOwn('127.0.0.1', 2376)], [true, false])
  assert.equal(isOwnListener(createDockerListeners('tcp://[::1]:80').addresses(), '::1', 80), true)
  assert.deepEqual(createDockerListeners('ssh://engine').addresses(), [])
})

test('settings of the engine: ours, then those of the docker command, then the usual socket', () => {
  const read = (env: Record<string, string>) => readConfig({}, { HOME: '/home/ann', ...env })
  assert.equal(read({}).dockerHost, 'unix:///var/run/docker.sock')
  assert.equal(read({ DOCKER_HOST: 'ssh://engine' }).dockerHost, 'ssh://engine')
  const both = { DOCKER_HOST: 'tcp://other:1', ORCHESTRY_DOCKER_HOST: 'tcp://engine:2376', DOCKER_TLS_VERIFY: '1' }
  assert.deepEqual([read(both).dockerHost, read(both).dockerCertDir], ['tcp://engine:2376', '/home/ann/.docker'])
  assert.equal(read({ ...both, ORCHESTRY_DOCKER_CERT_DIR: '/certificates' }).dockerCertDir, '/certificates')
  assert.equal(read({ DOCKER_TLS_VERIFY: '1' }).dockerCertDir, undefined)
  assert.deepEqual([read({}).dockerReach, read({ ORCHESTRY_DOCKER_REACH: 'port' }).dockerReach], ['auto', 'port'])
  const registries = { 'reg.example': { username: 'ci', secret: 'TOKEN', apps: ['shop'] } }
  assert.deepEqual(read({ ORCHESTRY_REGISTRIES: JSON.stringify(registries) }).registries, registries)
  for (const [env, message] of [
    [{ ORCHESTRY_DOCKER_HOST: 'ssh://engine' }, /must be unix:\/\/\/path or tcp:\/\/host:port/],
    [{ ORCHESTRY_DOCKER_REACH: 'magic' }, /one of auto, address, port/],
    [
      { ORCHESTRY_REGISTRIES: '{"a": {"username": "u", "password": "hush"}}' },
      /must be a JSON object of registries such as/,
    ],
    [{ ORCHESTRY_REGISTRIES: 'no json' }, /must be a JSON object of registries/],
  ] as const)
    assert.throws(
      () => read(env),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ORC_CONFIG_INVALID')
        assert.match(error.message, message)
        assert.ok(!error.message.includes('hush'), 'a password that got in is not shown')
        return true
      },
    )
})
