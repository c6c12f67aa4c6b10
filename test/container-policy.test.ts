import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { parseSpec } from '../runtime/apps/spec.ts'
import { readConfig } from '../runtime/config.ts'
import { type ContainerPolicy, defaultContainerPolicy, isImageOf } from '../runtime/container-policy.ts'
import { startRequest } from '../runtime/reconcile/start-request.ts'
import { problemsOf } from './apps/spec-cases.ts'
import { sampleSpec } from './support/fake-apps.ts'
import { createReconcileWorld } from './support/reconcile-world.ts'

describe('the setting containerPolicy', () => {
  it('adds to the default what it says', () => {
    const text = '{"allowRoot":false,"memoryMb":{"max":1024}}'
    const { containerPolicy } = readConfig({}, { ORCHESTRY_CONTAINER_POLICY: text })
    assert.deepEqual(containerPolicy, { ...defaultContainerPolicy, allowRoot: false, memoryMb: { max: 1024 } })
    assert.deepEqual(readConfig({ containerPolicy: text }, {}).containerPolicy, containerPolicy)
    assert.equal(readConfig({}, {}).containerPolicy, defaultContainerPolicy)
  })
  const refused: [title: string, text: string, said: RegExp][] = [
    ['no JSON', 'allowRoot=false', /it must be JSON, such as/],
    ['a list', '[]', /must be a mapping of images, capabilities/],
    ['what it cannot give', '{"privileged":true}', /must be a mapping of images, capabilities/],
    ['a path of the machine', '{"binds":["/"]}', /must be a mapping of/],
    ['an amount that is none', '{"memoryMb":{"max":"1Gi"}}', /\/memoryMb\/max/],
    ['less than an engine takes', '{"memoryMb":{"default":1}}', /\/memoryMb\/default/],
    ['no image at all', '{"images":[]}', /\/images/],
    [
      'a default above the most',
      '{"pids":{"default":9,"max":8}}',
      /pids.default \(9\) is not above its pids.max \(8\)/,
    ],
  ]
  for (const [title, text, said] of refused)
    it(`refuses ${title}`, () => {
      const read = () => readConfig({ containerPolicy: text }, {})
      assert.throws(
        read,
        (thrown: Error) => said.test(thrown.message) && /ORCHESTRY_CONTAINER_POLICY/.test(thrown.message),
      )
    })
})

const images: [glob: string, image: string, isOf: boolean][] = [
  ['**', 'evil.example/x', true],
  ['*', 'evil.example/a/b:1', true],
  ['nginx', 'nginx', true],
  ['nginx', 'nginx:1.27', true],
  ['nginx', 'docker.io/library/nginx@sha256:abc', true],
  ['nginx', 'index.docker.io/library/nginx', true],
  ['nginx', 'docker.io/nginx', true],
  ['nginx', 'evil.example/nginx', false],
  ['nginx', 'evil.example/library/nginx', false],
  ['nginx', 'nginx/x', false],
  ['nginx:1.*', 'nginx:1.27', true],
  ['nginx:1.*', 'nginx', false],
  ['nginx:latest', 'nginx', true],
  ['nginx:1.27', 'nginx:1.27@sha256:abc', false],
  ['team/*', 'team/shop:1', true],
  ['team/*', 'team/a/b', false],
  ['team*/shop', 'team1/shop', true],
  ['registry.example/**', 'registry.example/a/b:1', true],
  ['registry.example/**', 'registry.example:5000/a', false],
  ['registry.example/**', 'registryXexample/a', false],
  ['registry.example/**', 'registry.example.evil/a', false],
  ['registry.example/**', 'evil/registry.example/a', false],
  ['localhost/*', 'localhost/a', true],
  ['localhost/*', 'docker.io/localhost/a', false],
  ['*.example/**', 'a.example/x', true],
  ['**@sha256:*', 'registry.example/a:1@sha256:abc', true],
  ['**@sha256:*', 'registry.example/a:1', false],
  ['docker.io/**', `sha256:${'a'.repeat(64)}`, false],
  ['docker.io/library/sha256', `sha256:${'a'.repeat(64)}`, false],
  ['**', `sha256:${'a'.repeat(64)}`, true],
  ['sha256:*', `sha256:${'a'.repeat(64)}`, true],
  [`sha256:${'b'.repeat(64)}`, `sha256:${'a'.repeat(64)}`, false],
]
test('a glob of the policy means the registry that the engine would ask', () => {
  for (const [glob, image, isOf] of images) assert.equal(isImageOf(glob, image), isOf, `${glob} ${image}`)
})

const spec = (fields: string) =>
  `apiVersion: v1\nkind: App\nmetadata: { name: shop }\nspec:\n  image: team/shop:1\n  ports: [{ containerPort: 80 }]\n${fields}`
const strict: ContainerPolicy = {
  images: ['team/*', 'nginx'],
  capabilities: ['CHOWN'],
  allowRoot: false,
  allowWritableRoot: false,
  memoryMb: { default: 64, max: 128 },
  cpuMilli: { max: 500 },
  pids: { default: 10, max: 20 },
}
const the = "the operator's policy for containers"

test('what the policy does not allow is refused with its place, all of it at once', () => {
  const text = spec(
    [
      '  security: { runAsUser: 0:1, readOnlyRootFilesystem: false, capabilities: [NET_RAW, CHOWN] }',
      '  resources: { memory: 129Mi, cpu: 501m, pids: 21 }\n',
    ].join('\n'),
  ).replace('team/shop', 'evil.example/shop')
  const { code, lines } = problemsOf(() => parseSpec(text, { containerPolicy: strict }))
  assert.equal(code, 'ORC_SPEC_FORBIDDEN')
  assert.deepEqual(lines, [
    `5:10 /spec/image | ${the} allows images of team/*, nginx, not evil.example/shop:1`,
    `7:26 /spec/security/runAsUser | ${the} forbids root, and an image may say root; give \`runAsUser\` a number above 0`,
    `7:55 /spec/security/readOnlyRootFilesystem | ${the} asks for a root file system that is read-only; write to \`/tmp\` or a volume`,
    `7:76 /spec/security/capabilities | ${the} lets apps ask for CHOWN, not for NET_RAW`,
    `8:24 /spec/resources/memory | ${the} gives a replica at most 128Mi`,
    `8:36 /spec/resources/cpu | ${the} gives a replica at most 500m`,
    `8:48 /spec/resources/pids | ${the} gives a replica at most 20`,
  ])
})

test('an app that says nothing of its user may be root, and is refused where root is', () => {
  const { lines } = problemsOf(() => parseSpec(spec(''), { containerPolicy: strict }))
  assert.deepEqual(
    lines.map((line) => line.split(' | ')[0]),
    ['4:1 /spec/security/runAsUser'],
  )
  assert.ok(parseSpec(spec('  user: 1000\n'), { containerPolicy: strict }))
})

test('a process app is not judged', () => {
  const text =
    'apiVersion: v1\nkind: App\nmetadata: { name: shop }\nspec: { command: [a], resources: { memory: 1Gi } }\n'
  assert.ok(parseSpec(text, { containerPolicy: strict }))
})

test('who asks for no bounds gets those of the policy, a process gets none', () => {
  const boundsFor = (text: string, containerPolicy: ContainerPolicy) => {
    const request = startRequest('shop-1', 'v', parseSpec(text).app, {
      replicas: 1,
      secretOf: () => undefined,
      containerPolicy,
    })
    return [request.memoryBytes, request.cpuMilli, request.pids]
  }
  const plain = spec('  user: 1\n')
  assert.deepEqual(boundsFor(plain, strict), [64 * 2 ** 20, 500, 10])
  assert.deepEqual(boundsFor(spec('  user: 1\n  resources: { memory: 32Mi, cpu: 100m, pids: 5 }\n'), strict), [
    32 * 2 ** 20,
    100,
    5,
  ])
  assert.deepEqual(boundsFor(plain, defaultContainerPolicy), [512 * 2 ** 20, undefined, 4096])
  assert.deepEqual(boundsFor(plain, { ...strict, memoryMb: {}, cpuMilli: {}, pids: {} }), [
    undefined,
    undefined,
    undefined,
  ])
  const process = 'apiVersion: v1\nkind: App\nmetadata: { name: shop }\nspec: { command: [a] }\n'
  assert.deepEqual(boundsFor(process, strict), [undefined, undefined, undefined])
})

test('a policy that became stricter leaves what runs, starts nothing more of it, and says so', async () => {
  const world = createReconcileWorld()
  for (const name of ['shop', 'other'])
    world.apps.put(name, { app: sampleSpec(name, { image: `${name}.example/a:1` }), desired: 2 })
  await world.start()
  assert.ok((await world.settle('shop')) && (await world.settle('other')))
  world.settings.containerPolicy = { ...defaultContainerPolicy, images: ['other.example/**'] }
  await world.restart()
  assert.ok((await world.settle('shop')) && (await world.settle('other')))
  const asked = world.driver.requests.length
  const [first] = world.running('shop')
  world.driver.crash(first?.id ?? '')
  assert.equal(await world.settle('shop'), false)
  assert.equal(world.driver.requests.length, asked)
  assert.equal(world.running('shop').length, 1)
  const { phase, problems } = world.reconciler.status('shop')
  assert.equal(phase, 'degraded')
  assert.match(
    problems.join(),
    /allows images of other.example\/\*\*, not shop.example\/a:1\. .* What runs goes on; nothing was started/,
  )
  assert.equal(world.reconciler.status('other').phase, 'running')
})
