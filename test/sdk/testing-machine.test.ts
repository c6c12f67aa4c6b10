/** Plugins that use files and programs, tested without any. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { definePlugin } from '@orchestry/sdk'
import { createHarness, type Grants } from '@orchestry/sdk/testing'

const plugin = definePlugin({ scaler: { decide: () => ({ replicas: 1, reason: 'r' }) } })
const make = (grants: Grants) => createHarness(plugin, { grants })

test('files are read, written, listed, looked at, removed and followed in memory', async () => {
  const { ctx, files } = make({ files: { data: { 'conf/a': 'one', log: 'old\n' }, empty: {} } })
  assert.equal(await ctx.files.read('data', 'conf/a'), 'one')
  assert.equal(await ctx.files.read('data', 'conf/a', { offset: 1, maxBytes: 1, encoding: 'base64' }), 'bg==')
  await ctx.files.write('data', 'raw', 'AP8=', 'base64')
  assert.equal(await ctx.files.read('data', 'raw', { encoding: 'base64' }), 'AP8=')
  assert.equal(files.get('data:raw'), 'base64:AP8=')
  assert.deepEqual(
    (await ctx.files.list('data')).map(({ path }) => path),
    ['conf/a', 'log', 'raw'],
  )
  assert.deepEqual(
    (await ctx.files.list('data', 'conf')).map(({ path, bytes }) => [path, bytes]),
    [['conf/a', 3]],
  )
  assert.deepEqual(await ctx.files.list('empty'), [])
  await ctx.files.remove('data', 'raw')
  assert.equal(await ctx.files.stat('data', 'raw'), null)
  const { cursor } = await ctx.files.tail('data', 'log')
  await ctx.files.write('data', 'log', 'old\nnew\n')
  assert.equal((await ctx.files.tail('data', 'log', cursor)).text, 'new\n')
  await ctx.files.write('data', 'log', 'cut')
  assert.equal((await ctx.files.tail('data', 'log', cursor)).text, 'cut')
  for (const [root, path] of [
    ['other', 'a'],
    ['data', '../a'],
    ['toString', 'a'],
  ] as const)
    await assert.rejects(ctx.files.read(root, path), { code: 'ORC_CAPABILITY_DENIED' })
  await assert.rejects(ctx.files.read('data', 'none'), { code: 'ORC_CAPABILITY_FAILED' })
})

test('commands answer what the test wrote down, and are recorded', async () => {
  const late = Object.assign(new Error('too late'), { code: 'ORC_CAPABILITY_LIMIT' })
  const { ctx, commands } = make({ exec: { check: { code: 2, stderr: 'no' }, slow: late, reload: {} } })
  assert.deepEqual(await ctx.exec.run('check', { n: 1 }), {
    code: 2,
    signal: null,
    stdout: '',
    stderr: 'no',
    isCut: false,
    durationMs: 1,
  })
  assert.equal((await ctx.exec.run('reload')).code, 0)
  await assert.rejects(ctx.exec.run('slow'), { code: 'ORC_CAPABILITY_LIMIT' })
  await assert.rejects(ctx.exec.run('other'), { code: 'ORC_CAPABILITY_DENIED' })
  assert.deepEqual(commands[0], { command: 'check', values: { n: 1 } })
  assert.equal(commands.length, 4)
  const byFunction = make({ exec: (command, { n }) => (command === 'echo' ? { stdout: String(n) } : undefined) })
  assert.equal((await byFunction.ctx.exec.run('echo', { n: 5 })).stdout, '5')
  await assert.rejects(byFunction.ctx.exec.run('other'), { code: 'ORC_CAPABILITY_DENIED' })
})
