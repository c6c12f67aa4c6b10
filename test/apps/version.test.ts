import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSpec } from '../../runtime/apps/spec.ts'
import { versionOf } from '../../runtime/apps/version.ts'

const base = `apiVersion: v1
kind: App
metadata: { name: shop, labels: { team: web } }
spec:
  image: shop:1
  command: [node, server.js]
  workingDir: /srv
  env: [{ name: A, value: a }, { name: B, secret: b }]
  ports: [{ containerPort: 80, name: web }, { containerPort: 81, name: admin }]
  resources: { cpu: 500m, memory: 64Mi }
scaling: { minReplicas: 2 }
healthCheck: { path: /ok }
`
const versionIn = (text: string) => versionOf(parseSpec(text).app)
const replaced = (from: string, to: string) => {
  assert.ok(base.includes(from), `the base spec holds ${from}`)
  return versionIn(base.replace(from, to))
}

const same: [string, string, string][] = [
  ['the way a quantity is written', 'cpu: 500m', 'cpu: 0.5'],
  [
    'the order of environment variables',
    '[{ name: A, value: a }, { name: B, secret: b }]',
    '[{ name: B, secret: b }, { name: A, value: a }]',
  ],
  ['labels', 'team: web', 'team: shop'],
  ['scaling', 'minReplicas: 2', 'minReplicas: 3'],
  ['the health check', 'path: /ok', 'path: /fine'],
  ['the route', 'scaling:', 'ingress: { path: /other/ }\nscaling:'],
  ['the rollout', 'scaling:', 'rollout: { maxSurge: 3 }\nscaling:'],
]
for (const [what, from, to] of same)
  test(`${what} leaves the version as it is`, () => assert.equal(replaced(from, to), versionIn(base)))

const other: [string, string, string][] = [
  ['the image', 'shop:1', 'shop:2'],
  ['the command', 'server.js', 'main.js'],
  ['what of it replaces the entrypoint', 'command: [node, server.js]', 'command: [node]\n  args: [server.js]'],
  ['the working directory', '/srv', '/opt'],
  ['the value of a variable', 'value: a', 'value: b'],
  ['where a value comes from', 'secret: b', 'value: b'],
  [
    'the order of ports',
    '[{ containerPort: 80, name: web }, { containerPort: 81, name: admin }]',
    '[{ containerPort: 81, name: admin }, { containerPort: 80, name: web }]',
  ],
  ['cpu', '500m', '501m'],
  ['memory', '64Mi', '65Mi'],
  ['the driver', 'image: shop:1', 'image: shop:1\n  driver: swarm'],
]
for (const [what, from, to] of other)
  test(`${what} makes another version`, () => assert.notEqual(replaced(from, to), versionIn(base)))

test('volumes, and what a container may, make another version', () => {
  const { app } = parseSpec(base)
  const volumes = [{ name: 'data', mountPath: '/data', isReadOnly: false }]
  const security = { isRootWritable: false, capabilities: [] }
  const versions = [app, { ...app, volumes }, { ...app, security }].map((one) => versionOf(one))
  assert.equal(new Set(versions).size, 3)
})

test('a restart makes another version, each time', () => {
  const { app } = parseSpec(base)
  const versions = [0, 1, 2].map((restarts) => versionOf(app, restarts))
  assert.equal(versions[0], versionOf(app))
  assert.equal(new Set(versions).size, 3)
})

test('a version is 16 hex digits', () => assert.match(versionIn(base), /^[0-9a-f]{16}$/))
