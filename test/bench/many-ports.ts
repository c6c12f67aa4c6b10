/** Stands for many replicas in one process: answers on as many ports as the argument says. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const ports: number[] = []
for (let index = 0; index < Number(process.argv[2] ?? 1); index += 1) {
  const server = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  ports.push((server.address() as AddressInfo).port)
}
process.stdout.write(`listening on ${ports.join(' ')}\n`)
