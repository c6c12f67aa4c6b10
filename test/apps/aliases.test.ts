import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aliases } from '../../runtime/apps/aliases.ts'
import { parseSpec } from '../../runtime/apps/spec.ts'
import { head, problemsOf, run } from './spec-cases.ts'

const scaling = (fields: string) => `${head}${run}scaling: { ${fields} }\n`
const spec = (fields: string, more = '') => `${head}spec: { command: [node], ${fields} }\n${more}`
const container = (fields: string) => `${head}spec: { image: a, ports: [{ containerPort: 1 }], ${fields} }\n`
const step = (value: number) => `policies: [{ type: replicas, value: ${value}, periodSeconds: 15 }]`

/** The other way to say it, and the way of our own grammar: both must be the same app. */
const same: [title: string, other: string, own: string][] = [
  ['targetRPSPerReplica', scaling('targetRPSPerReplica: 50'), scaling('targets: { rpsPerReplica: 50 }')],
  ['maxP95LatencyMs', scaling('maxP95LatencyMs: 250'), scaling('targets: { latencyP95Ms: 250 }')],
  ['maxConnPerReplica', scaling('maxConnPerReplica: 80'), scaling('targets: { connectionsPerReplica: 80 }')],
  ['maxCPUPercent', scaling('maxCPUPercent: 60'), scaling('targets: { cpuPercent: 60 }')],
  [
    'targetCPUUtilizationPercentage',
    scaling('targetCPUUtilizationPercentage: 60'),
    scaling('targets: { cpuPercent: 60 }'),
  ],
  ['maxMemoryPercent', scaling('maxMemoryPercent: 75'), scaling('targets: { memoryPercent: 75 }')],
  [
    'targetMemoryUtilizationPercentage',
    scaling('targetMemoryUtilizationPercentage: 75'),
    scaling('targets: { memoryPercent: 75 }'),
  ],
  [
    'several targets beside real ones',
    scaling('maxCPUPercent: 60, targets: { latencyP95Ms: 9 }, targetRPSPerReplica: 5'),
    scaling('targets: { cpuPercent: 60, latencyP95Ms: 9, rpsPerReplica: 5 }'),
  ],
  [
    'a target of 0 that means off',
    scaling('maxP95LatencyMs: 0, targetRPSPerReplica: 5'),
    scaling('targets: { rpsPerReplica: 5 }'),
  ],
  [
    'the threshold names, which are ours too',
    scaling('scaleOutThresholdPct: 90, scaleInThresholdPct: 20'),
    scaling('scaleInThresholdPct: 20, scaleOutThresholdPct: 90'),
  ],
  [
    'stabilizationWindowSeconds',
    scaling('stabilizationWindowSeconds: 300'),
    scaling('behavior: { scaleIn: { stabilizationWindowSeconds: 300 } }'),
  ],
  ['maxScaleOutStep', scaling('maxScaleOutStep: 2'), scaling(`behavior: { scaleOut: { ${step(2)} } }`)],
  ['maxScaleInStep', scaling('maxScaleInStep: 1'), scaling(`behavior: { scaleIn: { ${step(1)} } }`)],
  [
    'the times of a rollout',
    spec('minReadySeconds: 5, progressDeadlineSeconds: 60'),
    spec('env: []', 'rollout: { minReadySeconds: 5, progressDeadlineSeconds: 60 }\n'),
  ],
  ['one cooldown for both ways', scaling('cooldownSeconds: 30'), scaling('cooldownSeconds: { out: 30, in: 30 }')],
  [
    'scaleUp and scaleDown',
    scaling('behavior: { scaleUp: { selectPolicy: Min }, scaleDown: { selectPolicy: Disabled } }'),
    scaling('behavior: { scaleOut: { selectPolicy: Min }, scaleIn: { selectPolicy: Disabled } }'),
  ],
  [
    'policies of Pods and Percent',
    scaling(
      'behavior: { scaleUp: { policies: [{ type: Pods, value: 4, periodSeconds: 15 }, { type: Percent, value: 100, periodSeconds: 15 }] } }',
    ),
    scaling(
      'behavior: { scaleOut: { policies: [{ type: replicas, value: 4, periodSeconds: 15 }, { type: percent, value: 100, periodSeconds: 15 }] } }',
    ),
  ],
  ['spec.replicas', spec('replicas: 3'), spec('env: []', 'scaling: { replicas: 3 }\n')],
  ['environment', spec('environment: [{ name: A, value: b }]'), spec('env: [{ name: A, value: b }]')],
  [
    'source: sdk',
    spec('environment: [{ name: A, source: sdk, key: instance.ip }]'),
    spec('env: [{ name: A, field: instance.ip }]'),
  ],
  ['source: secret', spec('env: [{ name: A, source: secret, key: db }]'), spec('env: [{ name: A, secret: db }]')],
  [
    'valueFrom sdk',
    spec('env: [{ name: A, valueFrom: { sdk: app.name } }]'),
    spec('env: [{ name: A, field: app.name }]'),
  ],
  ['valueFrom secret', spec('env: [{ name: A, valueFrom: { secret: db } }]'), spec('env: [{ name: A, secret: db }]')],
  ['type: http', spec('type: http'), spec('env: []')],
  ['restartPolicy: Always', spec('restartPolicy: Always'), spec('env: []')],
  [
    'termination',
    `${head}${run}termination: { drainSeconds: 30, gracePeriodSeconds: 20 }\n`,
    `${head}${run}rollout: { drainSeconds: 30, stopGraceSeconds: 20 }\n`,
  ],
  [
    'termination within spec',
    spec('termination: { drainSeconds: 30, terminationGracePeriodSeconds: 5 }'),
    spec('env: []', 'rollout: { drainSeconds: 30, stopGraceSeconds: 5 }\n'),
  ],
  [
    'terminationGracePeriodSeconds',
    spec('terminationGracePeriodSeconds: 5'),
    spec('env: []', 'rollout: { stopGraceSeconds: 5 }\n'),
  ],
  [
    'termination in its other spellings',
    `${head}${run}termination: { terminationGracePeriodSeconds: 7 }\n`,
    `${head}${run}rollout: { stopGraceSeconds: 7 }\n`,
  ],
  [
    'gracePeriodSeconds within spec',
    spec('termination: { gracePeriodSeconds: 7 }'),
    spec('env: []', 'rollout: { stopGraceSeconds: 7 }\n'),
  ],
  [
    'labels with an app',
    `apiVersion: v1\nkind: App\nmetadata: { name: shop, labels: { app: shop } }\n${run}`,
    `kind: App\napiVersion: v1\nmetadata: { labels: { "app": "shop" }, name: "shop" }\n${run}`,
  ],
  ['sections that stand there empty', `${head}${run}ingress:\nscaling:\nrollout:\n`, `${head}${run}`],
  [
    'empty sections within sections',
    `${head}spec:\n  command: [node, server.js]\n  env:\n  ports:\n  resources:\nscaling:\n  targets:\n  behavior:\n`,
    `${head}${run}`,
  ],
  [
    'numbers and booleans where texts belong',
    spec('args: [1.10, true], env: [{ name: A, value: 8080 }, { name: B, value: 007 }]'),
    spec('args: ["1.10", "true"], env: [{ name: A, value: "8080" }, { name: B, value: "007" }]'),
  ],
  [
    'a name that looks like a number',
    `apiVersion: v1\nkind: App\nmetadata: { name: 12 }\n${run}`,
    `apiVersion: v1\nkind: App\nmetadata: { name: "12" }\n${run}`,
  ],
  ['aliases of YAML', `${head}spec:\n  command: &c [a, b]\n  args: *c\n`, `${head}spec: { command: [a, b, a, b] }\n`],
  ['volumeMounts', container('volumeMounts: [data:/data]'), container('volumes: [data:/data]')],
  ['securityContext', container('securityContext: { runAsUser: 1 }'), container('security: { runAsUser: 1 }')],
  ['user', container('user: 1'), container('security: { runAsUser: 1 }')],
  ['runAsUser', container('runAsUser: 1'), container('security: { runAsUser: 1 }')],
  ['read_only', container('read_only: false'), container('security: { readOnlyRootFilesystem: false }')],
  [
    'readOnlyRootFilesystem',
    container('readOnlyRootFilesystem: false'),
    container('security: { readOnlyRootFilesystem: false }'),
  ],
  ['capabilities', container('capabilities: [KILL]'), container('security: { capabilities: [KILL] }')],
]
for (const [title, other, own] of same)
  test(`accepted: ${title}`, () => assert.deepEqual(parseSpec(other).app, parseSpec(own).app))

test('every accepted name stands in a case above', () => {
  const all = same.map(([, other]) => other).join('')
  const missing = Object.keys(aliases).filter((pointer) => !all.includes(`${pointer.split('/').at(-1)}:`))
  assert.deepEqual(missing, [])
})

/** Something valid at each accepted place, and at the place that it stands for. */
const document = (pointer: string, value: unknown) => {
  const root: Record<string, unknown> = {
    apiVersion: 'v1',
    kind: 'App',
    metadata: { name: 'shop' },
    spec: { image: 'a', ports: [{ containerPort: 1 }] },
  }
  return { root, put: () => put(root, pointer, value) }
}
function put(root: Record<string, unknown>, pointer: string, value: unknown): void {
  const path = pointer.split('/').slice(1)
  const last = path.pop() ?? ''
  const parent = path.reduce((node, part) => {
    node[part] ??= {}
    return node[part] as Record<string, unknown>
  }, root)
  parent[last] = value
}
const valueFor = (pointer: string): unknown => {
  if (/Up$|Down$|security(Context)?$/.test(pointer)) return {}
  if (/read_only$|Filesystem$/.test(pointer)) return true
  return /environment$|policies$|volume(s|Mounts)$|capabilities$/.test(pointer) ? [] : /\/env$/.test(pointer) ? [] : 5
}
for (const [from, to] of Object.entries(aliases))
  test(`${from} and ${to} together are refused`, () => {
    const { root, put: putAlias } = document(from, valueFor(from))
    putAlias()
    put(root, to, valueFor(/scaleOut$|scaleIn$/.test(to) ? 'Up' : to))
    const { lines } = problemsOf(() => parseSpec(JSON.stringify(root)))
    assert.equal(lines.length, 1)
    assert.match(
      lines[0] ?? '',
      new RegExp(`^1:\\d+ ${from} \\| .* stands for .*, which is given too \\(line 1\\); give one of them$`),
    )
  })
