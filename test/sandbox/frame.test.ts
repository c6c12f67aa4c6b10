import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createFrameReader, encodeFrame, FrameError } from '../../runtime/sandbox/frame.ts'

const bounds = { maxFrameBytes: 1024, maxHeaderBytes: 256 }

describe('frames', () => {
  test('come out as they went in, however the stream is cut', () => {
    const text = fc.string({ maxLength: 60, unit: 'binary' }).filter((value) => value.isWellFormed())
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (pairs, step) => {
        const stream = Buffer.concat(pairs.map(([header, body]) => encodeFrame(header, body)))
        const reader = createFrameReader(bounds)
        const read: [string, string][] = []
        for (let at = 0; at < stream.length; at += step) {
          for (const frame of reader.push(stream.subarray(at, at + step))) read.push([frame.header, frame.body])
        }
        assert.deepEqual(read, pairs)
        assert.equal(reader.pendingBytes, 0)
      }),
      { seed: 7, numRuns: 300 },
    )
  })

  const prefix = (length: number, header: number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeUInt32BE(length, 0)
    bytes.writeUInt32BE(header, 4)
    return bytes
  }
  const bad: [string, Buffer][] = [
    ['length 2^32-1', prefix(0xffff_ffff, 0)],
    ['one byte more than allowed', prefix(1025, 0)],
    ['length 0', prefix(0, 0)],
    ['length 3, too short for a header length', prefix(3, 0)],
    ['a header longer than the frame', Buffer.concat([prefix(10, 11), Buffer.alloc(6)])],
    ['a header longer than allowed', Buffer.concat([prefix(400, 300), Buffer.alloc(396)])],
  ]
  for (const [name, bytes] of bad) {
    test(`are refused: ${name}`, () => {
      assert.throws(() => createFrameReader(bounds).push(bytes), FrameError)
    })
  }

  test('are refused when one takes longer than it may, however small the steps, but not for pauses of ours', () => {
    let nowMs = 0
    const timed = () => createFrameReader({ ...bounds, maxFrameMs: 1_000 }, () => nowMs)
    const drip = (reader: ReturnType<typeof timed>, gapMs: number, count: number) => {
      reader.push(prefix(1024, 2))
      for (let sent = 0; sent < count; sent += 1) {
        nowMs += gapMs
        reader.push(Buffer.alloc(1))
      }
    }
    assert.throws(() => drip(timed(), 5, 500), /a frame of which only \d+ bytes had come after 100\d ms/)
    assert.doesNotThrow(() => drip(timed(), 10_000, 10))
    const reader = timed()
    for (let turn = 0; turn < 100; turn += 1) {
      const frame = encodeFrame('{}', 'x')
      nowMs += 90
      reader.push(frame.subarray(0, 5))
      nowMs += 90
      assert.equal(reader.push(Buffer.concat([frame.subarray(5), frame.subarray(0, 0)])).length, 1)
    }
  })

  test('are not held beyond the largest frame', () => {
    const reader = createFrameReader(bounds)
    reader.push(prefix(1024, 4).subarray(0, 4))
    for (let sent = 0; sent < 1000; sent += 100) reader.push(Buffer.alloc(100))
    assert.ok(reader.pendingBytes <= 1028)
  })
})
