/** Stands for many replicas in one process: so many that answer and so many that never do. Tells its parent their ports. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const [answering = 0, hanging = 0] = process.argv.slice(2).map(Number)
const ports: number[] = []
for (let index = 0; index < answering + hanging; index += 1) {
  const server = createServer((_request, response) => {
    if (index < answering) response.end('ok')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  ports.push((server.address() as AddressInfo).port)
}
process.send?.(ports)
process.on('disconnect', () => process.exit())
