import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPluginLogs } from '../../runtime/capabilities/log.ts'
import type { Log } from '../../runtime/log.ts'
import { bindAs } from '../support/bound.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function make(logKbPerMin = 64) {
  const written: [string, object, string][] = []
  const write = (level: string) => (fields: object, message: string) => void written.push([level, fields, message])
  const log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  } as unknown as Log
  const clock = createFakeClock()
  const logs = createPluginLogs({ log, clock })
  const limits = { logKbPerMin, timeoutMs: 1_000 }
  const guest = bindAs(logs.capability, { kind: 'log' }, { plugin: 'p', limits })
  return { written, clock, logs, ...guest }
}

test('a line goes to the process log with its plugin and instance, and is kept', async () => {
  const { call, written, logs } = make()
  await call('log.warn', 'slow', { ms: 5 })
  await call('log.info', 'plain', null)
  assert.deepEqual(written, [
    ['warn', { plugin: 'p', instance: 'one', fields: '{"ms":5}' }, 'slow'],
    ['info', { plugin: 'p', instance: 'one' }, 'plain'],
  ])
  assert.deepEqual(
    logs.lines('p').map(({ level, message, fields }) => [level, message, fields]),
    [
      ['warn', 'slow', '{"ms":5}'],
      ['info', 'plain', undefined],
    ],
  )
  assert.deepEqual(logs.lines('other'), [])
  await logs.capability.forget?.('p')
  assert.deepEqual(logs.lines('p'), [])
})

test('C44: what a terminal would obey is shown, not obeyed, in the text and in the fields', async () => {
  const { call, logs } = make()
  await call('log.info', 'a\u001b[2Jb\nc\u009bd\u202ee\u2028f', { k: '\u001b]52;c;\u009d\u202e' })
  const [line] = logs.lines('p')
  assert.equal(line?.message, 'a\\u001b[2Jb\\u000ac\\u009bd\\u202ee\\u2028f')
  for (const obeyed of ['\u001b', '\u009d', '\u202e']) assert.ok(!line?.fields?.includes(obeyed))
})

test('C44, LOG-01: above the allowance lines are dropped, and one line says how many', async () => {
  const { call, logs, written, clock } = make(1)
  for (let index = 0; index < 500; index += 1) await call('log.info', `line ${index} ${'x'.repeat(50)}`)
  const before = logs.lines('p').length
  assert.ok(before > 10 && before < 20, `${before}`)
  await clock.advance(60_000)
  assert.equal(logs.lines('p').at(-1)?.message, `dropped ${500 - before} log lines: more than 1 KB in a minute`)
  assert.equal(written.length, before + 1)
  await call('log.info', 'again')
  assert.equal(logs.lines('p').at(-1)?.message, 'again')
})

test('C44: a line is at most 16 KiB, of the lines the newest 500 are kept', async () => {
  const { call, logs } = make(3_840)
  await call('log.info', 'x'.repeat(100_000), { f: 'y'.repeat(100_000) })
  const [line] = logs.lines('p')
  const sizes = [line?.message, line?.fields].map((text) => Buffer.byteLength(text ?? ''))
  assert.deepEqual(sizes, [12_288, 4_096])
  await call('log.info', '\u20ac'.repeat(100_000))
  const wide = logs.lines('p').at(-1)?.message ?? ''
  assert.ok(Buffer.byteLength(wide) <= 16_384 && /^\u20ac+\u2026$/.test(wide))
  for (let index = 0; index < 600; index += 1) await call('log.info', `${index}`)
  assert.deepEqual(
    [logs.lines('p').length, logs.lines('p', 1)[0]?.message, logs.lines('p')[0]?.message],
    [500, '599', '100'],
  )
})

test('C44, LOG-01: also a plugin that may log much in a minute gets no more than 64 KiB into one second', async () => {
  const { call, logs, clock } = make(3_840)
  const line = 'x'.repeat(1_000)
  for (let second = 0; second < 3; second += 1) {
    for (let index = 0; index < 100; index += 1) await call('log.info', line)
    await clock.advance(1_000)
  }
  const texts = logs.lines('p').map(({ message }) => message)
  assert.equal(texts.filter((text) => text === line).length, 3 * 65)
  assert.deepEqual(
    texts.filter((text) => text !== line),
    Array(3).fill('dropped 35 log lines: more than 64 KB in a second'),
  )
})

test('what is dropped when the plugin ends is still told, and no timer is left', async () => {
  const { call, logs, bound, clock } = make(1)
  for (let index = 0; index < 100; index += 1) await call('log.info', 'x'.repeat(100))
  bound.dispose()
  assert.match(logs.lines('p').at(-1)?.message ?? '', /^dropped 90 log lines/)
  assert.equal(clock.timers(), 0)
})

test('a line that is no text is refused', async () => {
  await assert.rejects(make().call('log.info', 5), { code: 'ORC_CAPABILITY_ARGUMENT' })
})
