import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { startProxy, startReplica } from '../support/proxy.ts'
import { waitFor } from '../support/wait-for.ts'

const chunk = randomBytes(256 * 1024)
const chunks = 800
const wholeBytes = chunk.length * chunks
const expected = createHash('sha256')
for (let index = 0; index < chunks; index += 1) expected.update(chunk)
const expectedHash = expected.digest('hex')
const source = () => Readable.from(repeat())
function* repeat() {
  for (let index = 0; index < chunks; index += 1) yield chunk
}

/** Runs the work and resolves with the most memory that was in use beyond what was before, in bytes. */
async function peakOf(work: () => Promise<void>): Promise<number> {
  const used = () => process.memoryUsage().external + process.memoryUsage().heapUsed
  const before = used()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, used())
  }, 5)
  await work()
  clearInterval(timer)
  return peak - before
}

test('two hundred megabytes go up and down whole, without being kept in memory', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', async (request, response) => {
    if (request.method === 'GET') {
      await pipeline(source(), response).catch(() => {})
      return
    }
    const hash = createHash('sha256')
    await pipeline(request, hash)
    response.end(hash.digest('hex'))
  })
  proxy.route('shop', [replica])

  const download = await peakOf(async () => {
    const request = httpRequest(`${proxy.url}/shop/`).end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const hash = createHash('sha256')
    await pipeline(response, hash)
    assert.equal(hash.digest('hex'), expectedHash)
  })
  const upload = await peakOf(async () => {
    const request = httpRequest(`${proxy.url}/shop/`, { method: 'POST' })
    const answered = once(request, 'response') as Promise<[IncomingMessage]>
    await pipeline(source(), request)
    const [response] = await answered
    response.setEncoding('utf8')
    assert.equal((await response.toArray()).join(''), expectedHash)
  })
  for (const peak of [download, upload]) assert.ok(peak < wholeBytes / 2, `${peak} bytes in memory`)
})

test('a client that does not read stops the replica, and holds up nobody else', async (t) => {
  const proxy = await startProxy(t)
  let written = 0
  let isBlocked = false
  const replica = await startReplica(t, 'a', async (request, response) => {
    if (request.url === '/small') return response.end('small')
    for (let index = 0; index < chunks; index += 1) {
      written += chunk.length
      if (response.write(chunk)) continue
      isBlocked = true
      await once(response, 'drain')
      isBlocked = false
    }
    return response.end()
  })
  proxy.route('shop', [replica])
  const request = httpRequest(`${proxy.url}/shop/big`).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.pause()
  let last = -1
  await waitFor(
    () => {
      const isStill = isBlocked && written === last
      last = written
      return isStill
    },
    { everyMs: 200 },
  )
  assert.ok(written < wholeBytes / 4, `${written} of ${wholeBytes} bytes were taken from the replica`)
  assert.equal(await (await fetch(`${proxy.url}/shop/small`)).text(), 'small')
  let bytes = 0
  for await (const part of response) bytes += (part as Buffer).length
  assert.equal(bytes, wholeBytes)
})

test('a replica that does not read stops the client', async (t) => {
  const proxy = await startProxy(t)
  let taken: IncomingMessage | undefined
  const replica = await startReplica(t, 'a', (request) => {
    taken = request.pause()
  })
  proxy.route('shop', [replica])
  const request = httpRequest(`${proxy.url}/shop/`, { method: 'POST' })
  request.on('error', () => {})
  let sent = 0
  const upload = pipeline(
    source().map((part: Buffer) => {
      sent += part.length
      return part
    }),
    request,
  ).catch(() => {})
  await waitFor(() => taken)
  let last = -1
  await waitFor(
    () => {
      const isStill = sent === last
      last = sent
      return isStill
    },
    { everyMs: 200 },
  )
  assert.ok(sent < wholeBytes / 4, `${sent} of ${wholeBytes} bytes were taken from the client`)
  request.destroy()
  await upload
})

test('events of a stream arrive one by one, as they are sent', async (t) => {
  const proxy = await startProxy(t)
  let send = (_text: string) => {}
  const replica = await startReplica(t, 'a', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    send = (text) => void response.write(text)
  })
  proxy.route('shop', [replica])
  const request = httpRequest(`${proxy.url}/shop/`).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
    send(text)
    const [part] = (await once(response, 'data')) as [Buffer]
    assert.equal(part.toString(), text)
  }
  request.destroy()
})
