/** Reads an answer's body within bounds: what was sent, and what it unpacks to, while it is unpacked. */
import type { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { OrchestryError } from '../errors.ts'

export type Body = Readable & { dump(options: { limit: number }): Promise<void> }

const decoders = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
])
/** What cannot be packed is a little larger when it is. */
const packedExtraBytes = 1024

/** Bytes and time in which a body that nobody wants may come to its own end, so that who sends it sees no broken connection. */
const unwanted = { bytes: 16 * 1024, ms: 100 }

/** With nothing allowed, the body is not read at all; a health check needs only the status. */
export async function readBody(
  body: Body,
  headers: Readonly<Record<string, string>>,
  allowedBytes: number,
): Promise<string> {
  if (allowedBytes === 0) {
    await discard(body)
    return ''
  }
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? ''
  if (encoding === '' || encoding === 'identity') return await collect(body, allowedBytes)
  const decoder = decoders.get(encoding)
  if (decoder !== undefined) return await unpack(body, decoder(), encoding, allowedBytes)
  // Nobody reads it, so nobody else would hear that it was broken off.
  body.on('error', () => {}).destroy()
  if (encoding.includes(','))
    throw new OrchestryError('ORC_CAPABILITY_LIMIT', 'ctx.net: the answer is packed more than once (content-encoding)')
  const shown = encoding.slice(0, 40)
  throw new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.net: the answer is encoded as ${shown}; gzip was asked for`)
}

/** How it ends, or that it never does, is of no interest: the answer is there. Never rejects. */
async function discard(body: Body): Promise<void> {
  body.on('error', () => {})
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, unwanted.ms)
  await Promise.race([body.dump({ limit: unwanted.bytes }).catch(() => {}), late.promise])
  clearTimeout(timer)
  body.destroy()
}

async function collect(source: AsyncIterable<Buffer>, allowedBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  // Leaving the loop destroys the stream, and with it the connection.
  for await (const chunk of bounded(source, allowedBytes, allowedBytes)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

async function* bounded(
  source: AsyncIterable<Buffer>,
  mostBytes: number,
  grantedBytes: number,
): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.length
    if (bytes > mostBytes) throw tooLarge(grantedBytes)
    yield chunk
  }
}

async function unpack(body: Body, decoder: Transform, encoding: string, allowedBytes: number): Promise<string> {
  let text = ''
  let failure: unknown
  async function* packed() {
    try {
      yield* bounded(body, allowedBytes + packedExtraBytes, allowedBytes)
    } catch (thrown) {
      failure = thrown
      throw thrown
    }
  }
  try {
    await pipeline(packed, decoder, async (unpacked: AsyncIterable<Buffer>) => {
      text = await collect(unpacked, allowedBytes)
    })
    return text
  } catch (thrown) {
    if (thrown instanceof OrchestryError) throw thrown
    throw failure ?? new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.net: the answer is not ${encoding} as it says`)
  }
}

const tooLarge = (bytes: number) =>
  new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.net: the answer is larger than ${bytes / 1024} KB (maxBodyKb)`)
