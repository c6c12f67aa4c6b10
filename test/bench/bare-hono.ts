/** What an API route costs at least: the same address, the same body, nothing around it. Argument: the body as JSON. */
import { type ServerType, serve } from '@hono/node-server'
import { Hono } from 'hono'

const body = JSON.parse(process.argv[2] ?? '{}') as Record<string, unknown>
const bare = new Hono().get('/api/v1/apps/:app', (c) => c.json({ ...body, name: c.req.param('app') }))
const server: ServerType = serve({ fetch: bare.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => {
  process.stdout.write(`listening on ${port}\n`)
})
server.on('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
