import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchScaling } from '../../runtime/apps/scaling-patch.ts'
import { parseSpec } from '../../runtime/apps/spec.ts'
import { head, problemsOf, run } from './spec-cases.ts'

const commented = `${head}${run}
# how many
scaling:
  minReplicas: 2 # never fewer
  maxReplicas: 8
  targets:
    rpsPerReplica: 50 # measured in May
`
const aliased = `${head}${run}scaling:
  minReplicas: 2
  targetRPSPerReplica: 50 # measured in May
  maxP95LatencyMs: 250
  cooldownSeconds: 30
  maxScaleInStep: 1
`
const json = JSON.stringify({
  apiVersion: 'v1',
  kind: 'App',
  metadata: { name: 'shop' },
  spec: { command: ['a'], environment: [{ name: 'A', value: 1 }] },
  scaling: { maxCPUPercent: 50 },
})

/** The spec, the change, and what must then be true of the app's scaling. */
const changes: [title: string, source: string, patch: unknown, wanted: Record<string, unknown>][] = [
  ['one number', commented, { maxReplicas: 12 }, { minReplicas: 2, maxReplicas: 12, targets: { rpsPerReplica: 50 } }],
  [
    'one target beside another',
    commented,
    { targets: { cpuPercent: 60 } },
    { targets: { rpsPerReplica: 50, cpuPercent: 60 } },
  ],
  ['a target taken away', commented, { targets: { rpsPerReplica: null } }, { targets: {} }],
  ['all targets taken away', commented, { targets: null }, { targets: { cpuPercent: 70 } }],
  ['a field taken away', commented, { maxReplicas: null }, { maxReplicas: 10 }],
  ['nothing', commented, {}, { minReplicas: 2, maxReplicas: 8 }],
  ['an alias over a real name', commented, { targetRPSPerReplica: 70 }, { targets: { rpsPerReplica: 70 } }],
  ['an alias of 0, which is off', commented, { targetRPSPerReplica: 0 }, { targets: {} }],
  [
    'a real name over an alias',
    aliased,
    { targets: { rpsPerReplica: 70 } },
    { targets: { rpsPerReplica: 70, latencyP95Ms: 250 } },
  ],
  ['an alias over itself', aliased, { maxP95LatencyMs: 300 }, { targets: { rpsPerReplica: 50, latencyP95Ms: 300 } }],
  [
    'one side of a cooldown that was one number',
    aliased,
    { cooldownSeconds: { out: 1 } },
    { cooldownSeconds: { out: 1, in: 30 } },
  ],
  ['policies over a step', aliased, { behavior: { scaleIn: { policies: [] } } }, { minReplicas: 2 }],
  ['a spec without the section', `${head}${run}`, { mode: 'manual' }, { mode: 'manual', minReplicas: 1 }],
  ['a section that stands there empty', `${head}${run}scaling:\n`, { minReplicas: 3 }, { minReplicas: 3 }],
  [
    'the number that spec.replicas gave',
    `${head}spec: { command: [a], replicas: 2 }\n`,
    { replicas: 4 },
    { replicas: 4 },
  ],
  ['a JSON spec', json, { targets: { cpuPercent: 80 } }, { targets: { cpuPercent: 80 } }],
  [
    'a section with an alias of YAML',
    `${head}spec: { command: [a] }\nscaling: { minReplicas: &n 2, replicas: *n }\n`,
    { replicas: 5 },
    { minReplicas: 2, replicas: 5 },
  ],
  [
    'the anchored side of an alias of YAML',
    `${head}spec: { command: [a] }\nscaling: { minReplicas: &n 2, replicas: *n }\n`,
    { minReplicas: 1 },
    { minReplicas: 1, replicas: 2 },
  ],
]
for (const [title, source, patch, wanted] of changes)
  test(`changed in part: ${title}`, () => {
    const patched = patchScaling(source, patch)
    for (const [key, value] of Object.entries(wanted))
      assert.deepEqual(patched.app.scaling[key as keyof typeof patched.app.scaling], value)
    assert.deepEqual(parseSpec(patched.source).app, patched.app, 'the text says what the app is')
    const { scaling } = patched.app
    assert.deepEqual(patched.app, { ...parseSpec(source).app, scaling }, 'nothing else changed')
  })

test('comments, order and the rest of the text stay', () => {
  assert.equal(
    patchScaling(commented, { maxReplicas: 12, targets: { cpuPercent: 60 } }).source,
    `apiVersion: v1
kind: App
metadata: { name: shop }
spec: { command: [ node, server.js ] }

# how many
scaling:
  minReplicas: 2 # never fewer
  maxReplicas: 12
  targets:
    rpsPerReplica: 50 # measured in May
    cpuPercent: 60
`,
  )
})

test('a change of nothing leaves every character', () => {
  assert.equal(patchScaling(commented, { minReplicas: 2 }).source, commented)
  assert.equal(patchScaling(json, {}).source, json)
})

test('JSON stays JSON', () => {
  assert.deepEqual(JSON.parse(patchScaling(json, { targets: { cpuPercent: 80 } }).source).scaling, {
    targets: { cpuPercent: 80 },
  })
})

const refused: [title: string, patch: unknown, lines: string[]][] = [
  ['an unknown field', { minReplica: 3 }, ['/minReplica | unknown field `minReplica`; did you mean `minReplicas`?']],
  [
    'a bad value',
    { maxReplicas: 'many' },
    ['/maxReplicas | expected the most replicas: a whole number from 1 to 1000, found "many"'],
  ],
  [
    'a clash with what is stored',
    { minReplicas: 9 },
    ['/minReplicas | minReplicas (9) must not be above maxReplicas (8)'],
  ],
  [
    'two names of one',
    { maxCPUPercent: 5, targets: { cpuPercent: 6 } },
    [
      '/maxCPUPercent | `scaling.maxCPUPercent` stands for `scaling.targets.cpuPercent`, which is given too (line 1); give one of them',
    ],
  ],
  ['a list', [], ['/ | expected a mapping with a part of the section `scaling`']],
  ['nothing', undefined, ['/ | expected a mapping with a part of the section `scaling`']],
  ['a text', 'x', ['/ | expected a mapping with a part of the section `scaling`']],
  [
    'several at once',
    { mode: 'x', windowSeconds: 0 },
    [
      '/mode | expected `auto` or `manual` (who decides the number of replicas), found "x"',
      '/windowSeconds | expected how much of the past the metrics cover: seconds from 1 to 3600, found 0',
    ],
  ],
]
for (const [title, patch, lines] of refused)
  test(`refused in part: ${title}`, () => {
    const found = problemsOf(() => patchScaling(commented, patch))
    assert.deepEqual(found.lines, lines)
    assert.equal(found.code, 'ORC_SPEC_INVALID')
  })
