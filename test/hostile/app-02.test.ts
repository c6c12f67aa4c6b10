/** APP-02: texts that want to be commands: refused, or handed on as the one argument that they are. */
import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseSpec } from '../../runtime/apps/spec.ts'
import { startRequest } from '../../runtime/reconcile/start-request.ts'
import { startOrchestry } from '../support/orchestry.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

/** `CANARY` is a path that nobody may write. */
const metacharacters = [
  '; touch CANARY',
  '&& touch CANARY',
  '| touch CANARY',
  '$(touch CANARY)',
  '`touch CANARY`',
  '> CANARY',
  'a\ntouch CANARY\n',
  "'; touch CANARY; '",
  '"; touch CANARY; "',
  '${IFS}touch${IFS}CANARY',
  '$HOME',
  '*',
  '~',
  '--inspect=0.0.0.0:9229',
  '-',
  ' ',
  '\\',
  '\u0007\u001b[2J',
  'ä\u2028\u202e',
]
const document = (name: string, spec: object, more: object = {}) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'App', metadata: { name }, spec, ...more })
const printed =
  'process.stdout.write(JSON.stringify([process.argv.slice(1), process.env.GIVEN]) + "\\n"); setInterval(() => {}, 1e6)'

test('APP-02: in arguments and variables they reach the program as they are, and no shell sees them', async (t) => {
  const dir = await tempDir(t)
  const texts = metacharacters.map((text) => text.replaceAll('CANARY', join(dir, 'canary')))
  const orchestry = await startOrchestry(t)
  const spec = {
    command: [process.execPath, '-e', printed, '--', ...texts],
    workingDir: dir,
    env: [{ name: 'GIVEN', value: texts.join('') }],
  }
  await orchestry.api('/api/v1/apps', { method: 'PUT', body: JSON.parse(document('shop', spec)) })
  const line = await waitFor(
    async () => (await orchestry.api<{ lines: { line: string }[] }>('/api/v1/apps/shop/logs')).lines[0]?.line,
    { timeoutMs: 20_000 },
  )
  assert.deepEqual(JSON.parse(line), [texts, texts.join('')])
  assert.deepEqual(await readdir(dir), [])
})

test('APP-02: for a container they are items of a list, never joined', () => {
  for (const text of metacharacters) {
    const { app } = parseSpec(
      document('shop', {
        image: 'a',
        ports: [{ containerPort: 80 }],
        command: ['/bin/sh', text],
        args: [text],
        env: [{ name: 'GIVEN', value: text }],
      }),
    )
    const { command, args, env } = startRequest('shop-1', 'v', app, { replicas: 1, secretOf: () => undefined })
    assert.deepEqual([command, args, env], [['/bin/sh', text], [text], { GIVEN: text }])
  }
})

test('APP-02: as names, images, hosts and paths they are refused', async (t) => {
  const dir = await tempDir(t)
  await writeFile(join(dir, 'app.json'), '')
  const container = { image: 'a', ports: [{ containerPort: 80 }] }
  const places: readonly ((text: string) => string)[] = [
    (text) => document(text, container),
    (text) => document('shop', { ...container, image: text }),
    (text) => document('shop', { ...container, image: `a:${text}` }),
    (text) => document('shop', { ...container, driver: text }),
    (text) => document('shop', { ...container, env: [{ name: text, value: '' }] }),
    (text) => document('shop', { ...container, ports: [{ containerPort: 80, name: text }] }),
    (text) => document('shop', { ...container, volumes: [{ name: text, mountPath: '/a' }] }),
    (text) => document('shop', { ...container, volumes: [{ name: 'a', mountPath: `/${text}\n` }] }),
    (text) => document('shop', container, { ingress: { host: text } }),
    (text) => document('shop', container, { ingress: { path: text } }),
  ]
  for (const text of metacharacters)
    for (const [index, place] of places.entries())
      assert.throws(() => parseSpec(place(text)), { code: 'ORC_SPEC_INVALID' }, `place ${index}: ${text}`)
})
