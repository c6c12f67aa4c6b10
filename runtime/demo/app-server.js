// The demo's app: a small HTTP server that works on one request at a time, so that each request has a cost and a replica a
// capacity (about 1000 / COST_MS requests a second). Plain JavaScript: any Node runs it.
import { createServer } from 'node:http'

const costMs = Number(process.env.COST_MS ?? 10)
const waiting = []
let isBusy = false

function work() {
  const response = waiting.shift()
  if (response === undefined) {
    isBusy = false
    return
  }
  isBusy = true
  setTimeout(() => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(`${JSON.stringify({ instance: process.env.ORCHESTRY_INSTANCE, queued: waiting.length })}\n`)
    work()
  }, costMs)
}

const server = createServer((request, response) => {
  if (request.url === '/healthz') return response.end('ok\n')
  waiting.push(response)
  if (!isBusy) work()
})
server.keepAliveTimeout = 30_000
server.listen(Number(process.env.PORT), process.env.HOST ?? '127.0.0.1', () => {
  process.stdout.write(`listening on ${process.env.PORT}, ${costMs} ms a request\n`)
})
process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
