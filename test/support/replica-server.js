/**
 * A tiny HTTP replica for tests. Listens on PORT (0 or absent: any free one) of HOST (127.0.0.1).
 *
 *   GET /            200 { pid, instance, app, version, port, url, requests }; ?status=500 answers that status, ?delayMs=200 waits
 *                    first, ?bytes=1000 adds that many bytes of padding, ?cpuMs=50 burns that much CPU first
 *   GET /healthz     200 "ok", or what POST /health?status=503 said before (same parameters as /)
 *   POST /echo       the request body again
 *   GET /env         the whole environment as JSON
 *   GET /hold?mb=50  keeps that much memory
 *   GET /log?text=x&lines=3&stream=stderr   prints lines
 *   GET /stream?chunks=5&everyMs=20         a chunked answer
 *   GET /flood?mb=1024                      that much, as fast as it is taken
 *   POST /deafen     from now on takes no new connections, though it runs on
 *   GET /crash?code=3    exits at once without an answer;   GET /hang   never answers
 *   Upgrade: websocket   echoes raw bytes after a 101 (no frames are understood)
 *
 * Environment: IGNORE_SIGTERM=1, START_DELAY_MS, EXIT_AFTER_MS with EXIT_CODE, STATUS (of / and /healthz), DELAY_MS (of /),
 * PRINT (a line written before all else), QUIET=1 (does not print "listening on <port>"). On SIGTERM it finishes open requests and exits with 0.
 */
import { createServer } from 'node:http'

const env = process.env
const number = (text, fallback) => (text === undefined || text === null || text === '' ? fallback : Number(text))
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const held = []
let requests = 0
let isDeaf = false
let healthStatus = number(env.STATUS, 200)

function burn(ms) {
  const until = performance.now() + ms
  while (performance.now() < until);
}

const routes = {
  '/healthz': (url, _request, response) => {
    response.writeHead(number(url.searchParams.get('status'), healthStatus), { 'content-type': 'text/plain' }).end('ok')
  },
  '/health': (url, _request, response) => {
    healthStatus = number(url.searchParams.get('status'), 200)
    response.writeHead(204).end()
  },
  '/echo': (_url, request, response) => {
    response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' })
    request.pipe(response)
  },
  '/env': (_url, _request, response) => response.end(JSON.stringify(env)),
  '/hold': (url, _request, response) => {
    held.push(Buffer.alloc(number(url.searchParams.get('mb'), 10) * 1024 * 1024, 1))
    response.end(String(held.length))
  },
  '/log': (url, _request, response) => {
    const stream = url.searchParams.get('stream') === 'stderr' ? process.stderr : process.stdout
    const text = url.searchParams.get('text') ?? 'line'
    for (let i = 0; i < number(url.searchParams.get('lines'), 1); i++) stream.write(`${text}\n`)
    response.end()
  },
  '/stream': async (url, _request, response) => {
    for (let i = 0; i < number(url.searchParams.get('chunks'), 5); i++) {
      response.write(`chunk ${i}\n`)
      await wait(number(url.searchParams.get('everyMs'), 20))
    }
    response.end()
  },
  '/flood': (url, _request, response) => {
    const piece = Buffer.alloc(1024 * 1024)
    let left = number(url.searchParams.get('mb'), 1024)
    const more = () => {
      while (left > 0) {
        left -= 1
        if (!response.write(piece)) return response.once('drain', more)
      }
      response.end()
    }
    more()
  },
  '/crash': (url) => process.exit(number(url.searchParams.get('code'), 1)),
  '/hang': () => {},
  '/deafen': (_url, _request, response) => {
    response.shouldKeepAlive = false
    response.end('ok', () => {
      server.close()
      server.closeIdleConnections()
      isDeaf = true
      setInterval(() => {}, 60_000)
    })
  },
}

async function answer(url, response) {
  const query = url.searchParams
  await wait(number(query.get('delayMs'), number(env.DELAY_MS, 0)))
  burn(number(query.get('cpuMs'), 0))
  const body = {
    pid: process.pid,
    instance: env.ORCHESTRY_INSTANCE ?? '',
    app: env.ORCHESTRY_APP ?? '',
    version: env.ORCHESTRY_VERSION ?? '',
    port: server.address()?.port,
    url: url.pathname + url.search,
    requests,
    padding: 'x'.repeat(number(query.get('bytes'), 0)),
  }
  response
    .writeHead(number(query.get('status'), number(env.STATUS, 200)), { 'content-type': 'application/json' })
    .end(JSON.stringify(body))
}

const server = createServer((request, response) => {
  requests += 1
  const url = new URL(request.url ?? '/', 'http://replica')
  const route = routes[url.pathname]
  if (route) return route(url, request, response)
  return answer(url, response)
})
server.on('upgrade', (_request, socket) => {
  socket.on('error', () => {})
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  socket.pipe(socket)
})
server.on('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})

process.on('SIGTERM', () => {
  if (env.IGNORE_SIGTERM) return
  if (isDeaf) process.exit(0)
  server.close(() => process.exit(0))
  // Connections that clients keep alive become idle as their last request ends, and would hold the server open for seconds.
  setInterval(() => server.closeIdleConnections(), 10)
})
if (env.EXIT_AFTER_MS) setTimeout(() => process.exit(number(env.EXIT_CODE, 0)), Number(env.EXIT_AFTER_MS))

if (env.PRINT) process.stdout.write(`${env.PRINT}\n`)
await wait(number(env.START_DELAY_MS, 0))
server.listen(number(env.PORT, 0), env.HOST ?? '127.0.0.1', () => {
  if (!env.QUIET) process.stdout.write(`listening on ${server.address()?.port}\n`)
})
