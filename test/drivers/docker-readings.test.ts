import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { readJsonLines } from '../../runtime/drivers/docker-lines.ts'
import { collectLines, readFrames } from '../../runtime/drivers/docker-logs.ts'
import { measurementOf, usageOf } from '../../runtime/drivers/docker-usage.ts'
import { exitOf } from '../../runtime/drivers/docker-view.ts'

function frame(kind: number, text: string): Buffer {
  const header = Buffer.alloc(8)
  header[0] = kind
  header.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([header, Buffer.from(text)])
}
/** In pieces of the given size, as a network cuts them. */
const inPieces = (bytes: Buffer, size: number) =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size)),
  )

const time = '2026-01-02T03:04:05.678901234Z'
const atMs = Date.parse('2026-01-02T03:04:05.678Z')
const most = { lines: 10, bytes: 1_000 }

describe('output of containers', () => {
  const bytes = Buffer.concat([
    frame(1, `${time} one\n`),
    frame(2, `${time} zwei \u001b[31mrot\n`),
    frame(1, `${time} a line in `),
    frame(2, `${time} drei\n`),
    frame(1, `${time} two frames\r\n`),
    frame(1, `${time} no end`),
  ])
  for (const size of [1, 3, 7, 1_000])
    it(`is put together again from pieces of ${size} bytes`, async () => {
      const lines = await collectLines(readFrames(inPieces(bytes, size)), 'shop-1', most)
      const line = (stream: 'stdout' | 'stderr', text: string) => ({ instance: 'shop-1', stream, line: text, atMs })
      assert.deepEqual(lines, [
        line('stdout', 'one'),
        line('stderr', 'zwei \u001b[31mrot'),
        line('stderr', 'drei'),
        line('stdout', 'a line in two frames'),
        line('stdout', 'no end'),
      ])
    })

  it('keeps to its bounds and to what is newest', async () => {
    const many = Buffer.concat(Array.from({ length: 100 }, (_, index) => frame(1, `${time} line ${index}\n`)))
    const read = async (bounds: typeof most) =>
      (await collectLines(readFrames(inPieces(many, 50)), 'a', bounds)).map(({ line }) => line)
    assert.deepEqual(await read({ lines: 2, bytes: 1_000 }), ['line 98', 'line 99'])
    assert.deepEqual(await read({ lines: 50, bytes: 14 }), ['line 98', 'line 99'])
    const long = inPieces(
      Buffer.concat([frame(1, `${time} ${'x'.repeat(900)}`), frame(1, `${time} ${'y'.repeat(900)}\n`)]),
      99,
    )
    assert.equal((await collectLines(readFrames(long), 'a', most))[0]?.line.length, 1_000)
  })

  it('is refused when it is in no known form', async () => {
    await assert.rejects(
      collectLines(readFrames(inPieces(Buffer.from('just text, no frames'), 5)), 'a', most),
      /no known form/,
    )
  })
})

it('reads JSON lines across pieces, and passes over what is none', async () => {
  const text = '{"a":1}\n\nnonsense\n{"a":"ü"}\r\n42\n{"a":3}'
  const read = []
  for await (const value of readJsonLines(inPieces(Buffer.from(text), 3))) read.push(value)
  assert.deepEqual(read, [{ a: 1 }, { a: 'ü' }, { a: 3 }])
})

describe('resource use', () => {
  const stats = (cpuMs: number, second: number, memory: object) => ({
    read: `2026-01-02T03:04:0${second}Z`,
    cpu_stats: { cpu_usage: { total_usage: cpuMs * 1e6 } },
    memory_stats: memory,
  })
  const v2 = { usage: 150, limit: 1_000, stats: { inactive_file: 50 } }
  const v1 = { usage: 150, limit: 1_000, stats: { inactive_file: 1, total_inactive_file: 50 } }
  const reading = (cpuMs: number, second: number, memory: object) => {
    const found = measurementOf(stats(cpuMs, second, memory))
    assert.ok(found)
    return found
  }
  it('leaves out what the kernel only remembers of files, with either kind of groups', () => {
    assert.equal(reading(0, 1, v1).memoryBytes, 100)
    assert.equal(reading(0, 1, v2).memoryBytes, 100)
    assert.equal(reading(0, 1, { usage: 150, limit: 1_000 }).memoryBytes, 150)
  })
  it('is a share of what the replica may use, or of one core and the machine', () => {
    const [before, now] = [reading(1_000, 1, v2), reading(1_500, 2, v2)]
    assert.deepEqual(usageOf(before, now, {}), { cpuPercent: 50, memoryPercent: 10, memoryBytes: 100 })
    assert.deepEqual(usageOf(before, now, { cpuMilli: 250, memoryBytes: 200 }), {
      cpuPercent: 200,
      memoryPercent: 50,
      memoryBytes: 100,
    })
  })
  it('is not read from a measurement without content', () => {
    for (const empty of [
      {},
      { ...stats(1, 1, v2), read: '0001-01-01T00:00:00Z' },
      stats(1, 1, {}),
      stats(1, 1, { usage: 1, limit: 0 }),
    ])
      assert.equal(measurementOf(empty), undefined)
  })
})

it('tells a signal by the exit code', () => {
  assert.deepEqual(exitOf(0, false), { code: 0, signal: null })
  assert.deepEqual(exitOf(3, false), { code: 3, signal: null })
  assert.deepEqual(exitOf(143, false), { code: 143, signal: 'SIGTERM' })
  assert.deepEqual(exitOf(137, true), { code: 137, signal: 'SIGKILL', isOutOfMemory: true })
  assert.deepEqual(exitOf(255, false), { code: 255, signal: null })
  assert.deepEqual(exitOf(undefined, false), { code: null, signal: null })
})
