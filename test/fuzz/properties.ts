/** What must hold of everything that reads what a stranger wrote. Each property runs as often as it is told, from a seed. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createFrameReader, encodeFrame, FrameError } from '../../runtime/sandbox/frame.ts'
import { parseUntrustedJson, UntrustedJsonError } from '../../runtime/sandbox/json.ts'
import { parseFromGuest } from '../../runtime/sandbox/protocol.ts'
import { readSlots } from '../../runtime/sandbox/slots.ts'

export interface Property {
  readonly name: string
  /** Throws with the seed and the smallest case that fails. */
  check(options: { seed: number; numRuns: number }): void
}

function property<T extends [unknown, ...unknown[]]>(
  name: string,
  arbitraries: { [K in keyof T]: fc.Arbitrary<T[K]> },
  run: (...values: T) => void,
): Property {
  return { name, check: (options) => fc.assert(fc.property<T>(...arbitraries, run), options) }
}

const frameBounds = { maxFrameBytes: 4_096, maxHeaderBytes: 512 }
const wellFormed = fc.string({ maxLength: 100, unit: 'binary' }).filter((text) => text.isWellFormed())
const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 })

function* cut(stream: Buffer, sizes: readonly number[]): Iterable<Buffer> {
  let at = 0
  for (let turn = 0; at < stream.length; turn += 1) {
    const end = at + (sizes[turn % sizes.length] ?? 1)
    // A copy, so that a reader that kept a chunk and not its bytes would be found out.
    const chunk = Buffer.from(stream.subarray(at, end))
    yield chunk
    chunk.fill(0xee)
    at = end
  }
}

const reserved = ['__proto__', 'constructor', 'prototype']
const hasReserved = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Reflect.ownKeys(value).some(
    (key) => reserved.includes(String(key)) || hasReserved((value as Record<PropertyKey, unknown>)[key]),
  )
const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0

/** JSON texts, some of them broken, with many of the words that matter. */
const words = fc.constantFrom(...reserved, 'op', 'id', 'a', '"', '\\', '\u2028', '{', '[', 'constr\u0075ctor')
const text = fc.oneof(words, fc.string({ maxLength: 8 }))
const tree = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 12, depthIdentifier: 'tree' },
    fc.constantFrom<unknown>(null, true, 0, -0, 1e21, 5e-324),
    text,
    fc.array(tie('value'), { maxLength: 4, depthIdentifier: 'tree' }),
    fc
      .array(fc.tuple(text, tie('value')), { maxLength: 4, depthIdentifier: 'tree' })
      .map((entries) => Object.fromEntries(entries)),
  ),
})).value
const spaced = (json: string) => json.replaceAll(/[:,[\]{}]/g, ' $&\n')
const escaped = (json: string) => json.replaceAll('o', '\\u006f').replaceAll('_', '\\u005F')
const jsonText = fc
  .tuple(
    tree,
    fc.constantFrom((json: string) => json, spaced, escaped),
  )
  .map(([value, write]) => write(JSON.stringify(value)))
const brokenText = fc
  .tuple(jsonText, fc.nat(), fc.nat(3), fc.string({ maxLength: 3 }))
  .map(
    ([json, at, drop, put]) =>
      json.slice(0, at % (json.length + 1)) + put + json.slice((at % (json.length + 1)) + drop),
  )

/** What the reader must make of a text, said the slow way. */
function expected(json: string, maxDepth: number): { value: unknown } | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return undefined
  }
  // Of a key that is there twice only the last is left, so that a value may hide what its text has: such are not generated.
  return depthOf(value) > maxDepth || hasReserved(value) ? undefined : { value }
}

function read(json: string, maxDepth: number): { value: unknown } | undefined {
  try {
    return { value: parseUntrustedJson(json, maxDepth) }
  } catch (thrown) {
    assert.ok(thrown instanceof UntrustedJsonError, String(thrown))
    return undefined
  }
}

const id = fc.oneof(
  fc.nat(),
  fc.constantFrom<unknown>(-1, 1.5, '1', null, Number.MAX_SAFE_INTEGER, 2 ** 60, Number.NaN),
)
const messageLike = fc
  .record(
    {
      op: fc.oneof(fc.constantFrom('ready', 'result', 'pending', 'host', 'lost', 'beat'), text),
      id,
      pid: id,
      call: id,
      request: id,
      instance: fc.oneof(fc.constant('one'), fc.string({ maxLength: 140 })),
      failure: fc.constantFrom('guest', 'timeout', 'memory', 'tooLarge', 'gone', 'mine'),
      operation: fc.oneof(fc.constantFrom('kv.get', 'kv.', '.get', '__proto__.get', 'kv.get.more'), text),
      isolates: fc.array(fc.oneof(fc.tuple(fc.string({ maxLength: 3 }), fc.double(), fc.double()), tree), {
        maxLength: 70,
      }),
      extra: tree,
    },
    { requiredKeys: ['op'] },
  )
  .map((message) => JSON.stringify(message))

const ops: Readonly<Record<string, readonly string[]>> = {
  ready: ['op', 'pid'],
  result: ['op', 'id', 'failure', 'cpuMs'],
  pending: ['op', 'id'],
  host: ['op', 'instance', 'call', 'request', 'operation'],
  lost: ['op', 'instance', 'failure'],
  beat: ['op', 'isolates'],
}

const slotLike = fc.array(
  fc.oneof(
    fc.tuple(fc.constantFrom<unknown>(0, 1, 2, '1', null), tree),
    tree,
    fc.tuple(fc.constant(0), fc.string({ maxLength: 700 })),
  ),
  { maxLength: 5 },
)

export const properties: readonly Property[] = [
  property(
    'frames come out as they went in, however the stream is cut and whatever becomes of its chunks',
    [fc.array(fc.tuple(wellFormed, wellFormed), { maxLength: 6 }), cuts],
    (pairs, sizes) => {
      const reader = createFrameReader(frameBounds)
      const frames: [string, string][] = []
      for (const chunk of cut(Buffer.concat(pairs.map(([header, body]) => encodeFrame(header, body))), sizes)) {
        for (const { header, body } of reader.push(chunk)) frames.push([header, body])
      }
      assert.deepEqual(frames, pairs)
      assert.equal(reader.pendingBytes, 0)
    },
  ),
  property(
    'any bytes are frames or a FrameError, and never more is held than one frame',
    [
      fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.tuple(fc.nat(5_000), fc.nat(600)).map(([length, header]) => {
            const bytes = Buffer.alloc(8)
            bytes.writeUInt32BE(length, 0)
            bytes.writeUInt32BE(header, 4)
            return bytes
          }),
        ),
        { maxLength: 60 },
      ),
    ],
    (chunks) => {
      const reader = createFrameReader(frameBounds)
      try {
        for (const chunk of chunks) {
          reader.push(Buffer.from(chunk))
          assert.ok(reader.pendingBytes < 4 + frameBounds.maxFrameBytes, `${reader.pendingBytes} bytes are held`)
        }
      } catch (thrown) {
        if (!(thrown instanceof FrameError)) throw thrown
      }
    },
  ),
  property(
    'JSON of strangers is read as JSON is, but for depth and reserved keys',
    [jsonText, fc.integer({ min: 1, max: 12 })],
    (json, depth) => {
      assert.deepEqual(read(json, depth), expected(json, depth))
    },
  ),
  property(
    'broken JSON is never read otherwise than JSON is',
    [brokenText, fc.integer({ min: 1, max: 12 })],
    (json, depth) => {
      const got = read(json, depth)
      if (got === undefined) return
      assert.deepEqual(got.value, JSON.parse(json))
      assert.ok(!hasReserved(got.value) && depthOf(got.value) <= depth)
    },
  ),
  property(
    'a message is exactly one of the protocol, or refused',
    [fc.oneof(messageLike, jsonText, brokenText), fc.constantFrom('', '[]')],
    (header, body) => {
      try {
        const message = parseFromGuest(header, body)
        const allowed = ops[message.op]
        assert.ok(allowed !== undefined && Object.keys(message).every((key) => allowed.includes(key)), header)
        assert.ok(body === '' || message.op === 'result' || message.op === 'host')
      } catch (thrown) {
        assert.ok(thrown instanceof UntrustedJsonError, String(thrown))
      }
    },
  ),
  property(
    'there is one answer to each item, with bounded words, whatever was answered',
    [
      fc.oneof(
        slotLike.map((slots) => JSON.stringify(slots)),
        jsonText,
        brokenText,
      ),
      fc.nat(6),
    ],
    (body, count) => {
      const answers = readSlots(body, count)
      assert.equal(answers.length, count)
      for (const answer of answers) {
        if (answer.ok) assert.ok(!hasReserved(answer.value))
        else assert.ok(answer.message.length <= 600 && /^ORC_SANDBOX_(GUEST_ERROR|PROTOCOL)$/.test(answer.code))
      }
    },
  ),
]

/** Texts that invite a reader to begin again and again, `length` characters each. */
export const trying: readonly [string, (length: number) => string][] = [
  ['quotes', (length) => '"'.repeat(length)],
  ['backslashes', (length) => `"${'\\'.repeat(length)}"`],
  ['escapes', (length) => `{"${'\\u0061'.repeat(length / 6)}":1}`],
  ['keys without a colon', (length) => '"__proto__"'.repeat(length / 11)],
  ['white space after keys', (length) => `["constructor"${' '.repeat(length)},1]`],
  ['white space after many keys', (length) => `["prototype"${`${' '.repeat(50)},"prototype"`.repeat(length / 62)}]`],
  ['white space after a key that is escaped', (length) => `["\\u0061"${' '.repeat(length)}`],
  ['brackets', (length) => '[]'.repeat(length / 2)],
]
