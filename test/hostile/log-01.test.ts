/** LOG-01: a guest floods its log: with lines, with one huge line, and with what a terminal would obey. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '../support/wait-for.ts'
import { startGuestRoom } from './guest-room.ts'

const capabilities = [{ kind: 'log' }]
const dropped = /^dropped \d+ log lines: more than (\d+) KB in a (minute|second)$/

test('LOG-01 a flood is cut to 64 KiB a second, and one line for each window says how much was dropped', async (t) => {
  const room = await startGuestRoom(t)
  await room.install({
    name: 'flood',
    capabilities,
    limits: { logKbPerMin: 3_840 },
    body: `for (let index = 0; index < 900; index += 1) ctx.log.info('x'.repeat(1000))
      return 'said'`,
  })
  assert.equal(await room.ask('flood'), 'said')
  await waitFor(() => room.logs.lines('flood').some(({ message }) => dropped.test(message)))
  const lines = room.logs.lines('flood')
  const told = lines.filter(({ message }) => dropped.test(message))
  const seconds = new Set(lines.map(({ atMs }) => Math.floor(atMs / 1_000))).size
  const bytes = lines.reduce((sum, { message }) => sum + message.length, 0)
  assert.ok(bytes <= (seconds + 1) * 64 * 1024, `${bytes} bytes in ${seconds} s`)
  assert.ok(told.length >= 1 && told.length <= seconds, `${told.length} lines tell it`)
  assert.ok(lines.length - told.length < 900)
})

test('LOG-01 of a line of a hundred mebibytes, or a large one, no more than 16 KiB is kept', async (t) => {
  const room = await startGuestRoom(t)
  await room.install({
    name: 'long',
    capabilities,
    limits: { memoryMb: 256 },
    body: `const huge = await tell(() => { ctx.log.info('y'.repeat(100 * 1024 * 1024)) })
      ctx.log.info('z'.repeat(200 * 1024), { field: 'f'.repeat(100 * 1024) })
      return huge`,
  })
  await room.ask('long')
  const sizes = room.logs.lines('long').map(({ message, fields = '' }) => Buffer.byteLength(message) + fields.length)
  assert.ok(
    sizes.every((size) => size <= 16 * 1024),
    `${sizes}`,
  )
  assert.ok(room.plugins.show('long').state === 'serving' || room.plugins.show('long').state === 'restarting')
})

test('LOG-01, C44 nothing that a terminal or a reader of lines would obey is kept', async (t) => {
  const room = await startGuestRoom(t)
  await room.install({
    name: 'escape',
    capabilities,
    head: String.raw`const evil = 'a\u001b[2J\u001b]52;c;eA==\u0007\r\nb\u009bc\u2028\u2029d\u202e\u2066e\u0000'`,
    body: `ctx.log.warn(evil, { [evil]: evil })
      return 'said'`,
  })
  await room.ask('escape')
  const [line] = await waitFor(() => room.logs.lines('escape'))
  assert.ok(line)
  for (const text of [line.message, line.fields ?? ''])
    assert.doesNotMatch(text, /\p{Cc}|\p{Bidi_Control}|\u2028|\u2029/u)
  assert.match(line.message, /^a\\u001b\[2J/)
})
