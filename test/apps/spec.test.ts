import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSpec } from '../../runtime/apps/spec.ts'
import { head, problemsOf, run } from './spec-cases.ts'

test('the smallest spec becomes an app with every default', () => {
  assert.deepEqual(parseSpec(`${head}${run}`).app, {
    name: 'shop',
    labels: {},
    driver: 'process',
    command: ['node', 'server.js'],
    env: [],
    ports: [],
    ingress: { path: '/shop/' },
    scaling: {
      mode: 'auto',
      minReplicas: 1,
      maxReplicas: 10,
      targets: { cpuPercent: 70 },
      scaleOutThresholdPct: 80,
      scaleInThresholdPct: 50,
      windowSeconds: 5,
      cooldownSeconds: { out: 1, in: 60 },
      behavior: {
        scaleOut: { stabilizationWindowSeconds: 0, policies: [], select: 'max', isDisabled: false },
        scaleIn: { stabilizationWindowSeconds: 60, policies: [], select: 'max', isDisabled: false },
      },
    },
    rollout: {
      maxSurge: 1,
      maxUnavailable: 0,
      minReadySeconds: 2,
      progressDeadlineSeconds: 600,
      drainSeconds: 10,
      stopGraceSeconds: 10,
    },
  })
})

const full = `# the shop
apiVersion: v1
kind: App
metadata: { name: shop, labels: { team: web, example.com/tier: "1" } }
spec:
  image: registry.example:5000/shop:1.4@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  command: [node, server.js]
  args: [--verbose]
  workingDir: /srv/the shop
  env:
    - { name: MODE, value: fast }
    - { name: PASSWORD, secret: db }
    - { name: ADDRESS, field: instance.ip }
    - { name: EMPTY, value: "" }
  ports:
    - { containerPort: 8080, protocol: HTTP, name: web }
    - containerPort: 9000
      protocol: TCP
  resources: { cpu: 500m, memory: 512Mi }
  driver: swarm
ingress: { host: shop.example.com, path: /v1, loadBalancer: edge }
scaling:
  mode: manual
  replicas: 3
  minReplicas: 0
  maxReplicas: 20
  targets: { cpuPercent: 60, memoryPercent: 80, rpsPerReplica: 50, latencyP95Ms: 250, connectionsPerReplica: 80 }
  scaleOutThresholdPct: 90
  scaleInThresholdPct: 30
  windowSeconds: 30
  cooldownSeconds: { out: 10 }
  behavior:
    scaleOut:
      stabilizationWindowSeconds: 5
      policies: [{ type: percent, value: 100, periodSeconds: 15 }, { type: replicas, value: 4, periodSeconds: 15 }]
      selectPolicy: Min
    scaleIn: { selectPolicy: Disabled }
  scalers: [threshold, my-scaler]
  fallback: { afterSeconds: 120, replicas: 4 }
healthCheck:
  protocol: gRPC
  path: /ready?deep=1
  port: 8081
  method: POST
  headers: { X-Probe: "yes" }
  body: '{"a":1}'
  expectedStatusCodes: [200, 204]
  initialDelaySeconds: 3
  periodSeconds: 1
  failureThreshold: 2
  successThreshold: 2
rollout: { maxSurge: 25%, maxUnavailable: 1, minReadySeconds: 0, drainSeconds: 0, stopGraceSeconds: 2.5 }
`

test('a full spec becomes an app field by field', () => {
  assert.deepEqual(parseSpec(full).app, {
    name: 'shop',
    labels: { team: 'web', 'example.com/tier': '1' },
    driver: 'swarm',
    image: `registry.example:5000/shop:1.4@sha256:${'0123456789abcdef'.repeat(4)}`,
    command: ['node', 'server.js'],
    args: ['--verbose'],
    workingDir: '/srv/the shop',
    env: [
      { name: 'MODE', value: 'fast' },
      { name: 'PASSWORD', secret: 'db' },
      { name: 'ADDRESS', field: 'instance.ip' },
      { name: 'EMPTY', value: '' },
    ],
    ports: [
      { containerPort: 8080, protocol: 'HTTP', name: 'web' },
      { containerPort: 9000, protocol: 'TCP' },
    ],
    cpuMilli: 500,
    memoryBytes: 536_870_912,
    ingress: { host: 'shop.example.com', path: '/v1/', loadBalancer: 'edge' },
    scaling: {
      mode: 'manual',
      replicas: 3,
      minReplicas: 0,
      maxReplicas: 20,
      targets: { cpuPercent: 60, memoryPercent: 80, rpsPerReplica: 50, latencyP95Ms: 250, connectionsPerReplica: 80 },
      scaleOutThresholdPct: 90,
      scaleInThresholdPct: 30,
      windowSeconds: 30,
      cooldownSeconds: { out: 10, in: 60 },
      behavior: {
        scaleOut: {
          stabilizationWindowSeconds: 5,
          policies: [
            { type: 'percent', value: 100, periodSeconds: 15 },
            { type: 'replicas', value: 4, periodSeconds: 15 },
          ],
          select: 'min',
          isDisabled: false,
        },
        scaleIn: { stabilizationWindowSeconds: 60, policies: [], select: 'max', isDisabled: true },
      },
      scalers: ['threshold', 'my-scaler'],
      fallback: { afterSeconds: 120, replicas: 4 },
    },
    healthCheck: {
      protocol: 'gRPC',
      path: '/ready?deep=1',
      port: 8081,
      method: 'POST',
      headers: { 'X-Probe': 'yes' },
      body: '{"a":1}',
      expectedStatusCodes: [200, 204],
      initialDelaySeconds: 3,
      periodSeconds: 1,
      timeoutSeconds: 1,
      failureThreshold: 2,
      successThreshold: 2,
    },
    rollout: {
      maxSurge: '25%',
      maxUnavailable: 1,
      minReadySeconds: 0,
      progressDeadlineSeconds: 600,
      drainSeconds: 0,
      stopGraceSeconds: 2.5,
    },
  })
})

test('the source is kept as it was written', () => {
  const parsed = parseSpec(full)
  assert.equal(parsed.source, full)
  assert.equal(parsed.format, 'yaml')
})

test('JSON with tabs and with a byte order mark is read', () => {
  const json = JSON.stringify(
    { apiVersion: 'v1', kind: 'App', metadata: { name: 'shop' }, spec: { command: ['a'] } },
    null,
    '\t',
  )
  assert.equal(parseSpec(json).format, 'json')
  assert.deepEqual(parseSpec(`\ufeff${json}`).app, parseSpec(json).app)
})

const app = (text: string) => parseSpec(`${head}${text}`).app
const facts: [string, () => unknown, unknown][] = [
  ['an image is run by docker', () => app('spec: { image: a, ports: [{ containerPort: 80 }] }').driver, 'docker'],
  [
    'arguments alone go to the image',
    () => app('spec: { image: a, args: [b], ports: [{ containerPort: 80 }] }').args,
    ['b'],
  ],
  [
    'a driver nobody knows may be used when it is there',
    () => parseSpec(`${head}spec: { driver: memory }`, { drivers: ['memory'] }).app.driver,
    'memory',
  ],
  [
    'an app with a host of its own gets all of its paths',
    () => app(`${run}ingress: { host: a.example }`).ingress,
    { host: 'a.example', path: '/' },
  ],
  ['a path gets its last slash', () => app(`${run}ingress: { path: /a/b }`).ingress.path, '/a/b/'],
  [
    'the default maximum rises with the minimum',
    () => app(`${run}scaling: { minReplicas: 25 }`).scaling.maxReplicas,
    25,
  ],
  [
    'no targets at all are the default target',
    () => app(`${run}scaling: { mode: auto }`).scaling.targets,
    { cpuPercent: 70 },
  ],
  ['empty targets are none', () => app(`${run}scaling: { targets: {} }`).scaling.targets, {}],
  [
    '0 replicas are allowed in manual mode',
    () => app(`${run}scaling: { mode: manual, minReplicas: 0 }`).scaling.minReplicas,
    0,
  ],
  [
    '0 replicas are allowed with named scalers',
    () => app(`${run}scaling: { scalers: [queue], minReplicas: 0 }`).scaling.minReplicas,
    0,
  ],
  [
    'an empty health check is the default one',
    () => app(`${run}healthCheck: {}`).healthCheck,
    {
      protocol: 'HTTP',
      path: '/healthz',
      method: 'GET',
      headers: {},
      expectedStatusCodes: [],
      initialDelaySeconds: 0,
      periodSeconds: 5,
      timeoutSeconds: 2,
      failureThreshold: 3,
      successThreshold: 1,
    },
  ],
  [
    'a protocol that is not HTTP is asked for no path',
    () => {
      const { path, method, timeoutSeconds } = app(`${run}healthCheck: { protocol: TCP }`).healthCheck ?? {}
      return [path, method, timeoutSeconds]
    },
    ['', '', 2],
  ],
  [
    'a path is kept whatever the protocol',
    () => app(`${run}healthCheck: { protocol: QUIC, path: /x, method: PING }`).healthCheck?.path,
    '/x',
  ],
  [
    'a protocol is HTTP in small letters too',
    () => app(`${run}healthCheck: { protocol: http }`).healthCheck?.path,
    '/healthz',
  ],
  [
    'an empty startup takes a minute at most, asked every second',
    () => app(`${run}healthCheck: { startup: {} }`).healthCheck?.startup,
    { periodSeconds: 1, failureThreshold: 60, timeoutSeconds: 1 },
  ],
  [
    'a rollout waits at least as long as a replica may start',
    () =>
      ['failureThreshold: 60', 'failureThreshold: 900'].map(
        (text) => app(`${run}healthCheck: { startup: { ${text} } }`).rollout.progressDeadlineSeconds,
      ),
    [600, 960],
  ],
  [
    'a startup answers within the timeout of the check, unless its period is shorter or it has its own',
    () =>
      ['periodSeconds: 5', 'periodSeconds: 1', 'timeoutSeconds: 9'].map(
        (text) =>
          app(`${run}healthCheck: { timeoutSeconds: 3, startup: { ${text} } }`).healthCheck?.startup?.timeoutSeconds,
      ),
    [3, 1, 9],
  ],
  [
    "a long timeout is the user's own",
    () => app(`${run}healthCheck: { periodSeconds: 1, timeoutSeconds: 4 }`).healthCheck?.timeoutSeconds,
    4,
  ],
  [
    'a label may be called constructor',
    () =>
      parseSpec(`apiVersion: v1\nkind: App\nmetadata: { name: a, labels: { constructor: b } }\n${run}`).app.labels
        .constructor,
    'b',
  ],
]
for (const [title, found, wanted] of facts) test(title, () => assert.deepEqual(found(), wanted))

for (const name of ['a', '0', 'a-b', 'a--b', '9lives', 'a'.repeat(63), 'null-1', 'constructor'])
  test(`${name} is a name`, () =>
    assert.equal(parseSpec(`apiVersion: v1\nkind: App\nmetadata: { name: "${name}" }\n${run}`).app.name, name))

test('a driver is not asked for when nobody says which there are', () => {
  assert.equal(parseSpec(`${head}spec: { command: [a], driver: elsewhere }`).app.driver, 'elsewhere')
  assert.equal(
    problemsOf(() => parseSpec(`${head}spec: { command: [a], driver: elsewhere }`, { drivers: [] })).lines.length,
    1,
  )
})
