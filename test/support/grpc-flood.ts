/** A process of its own that answers `/hostile.Hostile/Get` with so many MiB of zeros; prints its port. So that a test can weigh the client alone. */
import { Server, ServerCredentials } from '@grpc/grpc-js'

const [mib = '1', isCompressed] = process.argv.slice(2)
const reply = Buffer.alloc(Number(mib) * 1024 * 1024)
const server = new Server({
  'grpc.max_send_message_length': -1,
  'grpc.default_compression_algorithm': isCompressed === 'gzip' ? 2 : 0,
})
const asIs = (bytes: Buffer) => bytes
const sides = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs }
server.addService(
  { Get: { path: '/hostile.Hostile/Get', requestStream: false, responseStream: false, ...sides } },
  { Get: (_call: unknown, done: (error: null, reply: Buffer) => void) => done(null, reply) },
)
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => process.stdout.write(`${port}\n`))
// Whoever started it holds the other end: it ends with them.
process.stdin.resume().on('end', () => process.exit())
