/** Where texts of plugins are written down, values are hidden first, and what is written stays whole. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text as readAll } from 'node:stream/consumers'
import { test } from 'node:test'
import type { Sample } from '@orchestry/sdk'
import { createEventsCapability } from '../../runtime/capabilities/events.ts'
import { createPluginLogs } from '../../runtime/capabilities/log.ts'
import { createMetricsCapability } from '../../runtime/capabilities/metrics.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createEvents } from '../../runtime/events/log.ts'
import { createLog } from '../../runtime/log.ts'
import { createRedactor } from '../../runtime/secrets/redact.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { bindAs } from '../support/bound.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const value = '-----BEGIN KEY-----\nabc"def\n-----END KEY-----'
const redactor = createRedactor([value])
const clock = createFakeClock()
const silent = createLog({ level: 'silent' })

test('C42: plugin logs: hidden before anything is escaped or cut, so that a value of several lines is found', async () => {
  const logs = createPluginLogs({ log: silent, clock, redaction: redactor })
  const { call } = bindAs(logs.capability, { kind: 'log' }, { plugin: 'p' })
  await call('log.info', `key: ${value}`, { nested: { json: JSON.stringify({ value }) } })
  await call('log.info', 'x'.repeat(16 * 1024 - 20) + value)
  const [first, second] = logs.lines('p')
  assert.deepEqual([first?.message, first?.fields], ['key: ***', '{"nested":{"json":"{\\"value\\":\\"***\\"}"}}'])
  assert.match(second?.message ?? '', /^x+\*\*\*$/)
})

test('C42: metrics: labels, in names and values', async () => {
  const recorded: Sample[] = []
  const capability = createMetricsCapability({
    clock,
    hasApp: () => true,
    coreMetrics: [],
    metrics: { record: (samples) => void recorded.push(...samples), snapshot: () => ({}) },
    redactData: redactor.redactData,
  })
  const { call } = bindAs(capability, { kind: 'metrics', emit: ['leak'] })
  await call('metrics.emit', [{ app: 'shop', metric: 'leak', value: 1, labels: { a: value, [`x${value}`]: 'b' } }])
  assert.deepEqual(recorded[0]?.labels, { a: '***', 'x***': 'b', plugin: '@test/plugin' })
})

test('SEC-01: events of plugins: the app they name is a text of their own', async () => {
  const appended: NewEvent[] = []
  const capability = createEventsCapability({
    events: {
      async append(added) {
        appended.push(...added)
        return []
      },
      list: async () => [],
    },
    clock,
    coreTypes: [],
    redact: redactor.redact,
  })
  await bindAs(capability, { kind: 'events', emit: ['acme.*'] }).call('events.emit', 'acme.leak', {}, `x${value}`)
  assert.deepEqual(
    appended.map(({ app }) => app),
    ['x***'],
  )
})

test('C42: events: in all data, before anybody hears of it', async () => {
  const events = createEvents({
    store: createMemoryStore({ clock }),
    clock,
    log: silent,
    redactData: redactor.redactData,
  })
  const heard: unknown[] = []
  events.subscribe(({ data }) => heard.push(data))
  await events.append([{ type: 'a.b', app: 'shop', data: { deep: [{ [value]: value }], n: 5 } }])
  const [stored] = await events.list({})
  for (const data of [heard[0], stored?.data]) assert.deepEqual(data, { deep: [{ '***': '***' }], n: 5 })
  await events.stop()
})

test('C42: the log of the process: also in errors and children, and a line stays JSON whatever the value is', async () => {
  const url = (file: string) => JSON.stringify(new URL(`../../runtime/${file}`, import.meta.url).href)
  const structural = '"level":30,"time":'
  const script = `
    import { createLog } from ${url('log.ts')}
    import { createRedactor } from ${url('secrets/redact.ts')}
    const log = createLog({ level: 'info' })
    const child = log.child({ room: 'x' })
    log.redactWith(createRedactor(${JSON.stringify([value, structural])}))
    child.info({ err: new Error(${JSON.stringify(value)}) }, 'failed')
    log.info(${JSON.stringify(`it says ${structural}`)})`
  const program = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script]
  const process = spawn(globalThis.process.execPath, program, { stdio: ['ignore', 'ignore', 'pipe'] })
  const lines = (await readAll(process.stderr)).trimEnd().split('\n')
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual([first?.msg, first?.room, first?.level], ['failed', 'x', 30])
  const { message, stack } = (first?.err ?? {}) as Record<string, string>
  assert.equal(message, '***')
  assert.match(stack ?? '', /^Error: \*\*\*\n/)
  assert.deepEqual([second?.msg, second?.level], ['it says ***', 30])
})
