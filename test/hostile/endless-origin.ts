/** A server whose answers nobody can hold; tells its parent the port. Run by net-limits.test.ts and ins-01.test.ts. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024))
const head = (more: string) => `HTTP/1.1 200 OK\r\n${more}\r\n`

/** Writes the same again until the other side has gone. */
function pour(socket: Socket, piece: string | Buffer, everyMs: number): void {
  const timer = setInterval(() => {
    if (socket.writableLength < 1024 * 1024) socket.write(piece)
  }, everyMs)
  socket.on('close', () => clearInterval(timer))
}

const answers: Record<string, (socket: Socket) => void> = {
  'gzip-bomb'(socket) {
    socket.write(head(`content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n`))
    socket.write(bomb)
  },
  'many-encodings': (socket) =>
    socket.write(head(`content-encoding: ${Array<string>(1_000).fill('gzip').join(',')}\r\n`)),
  endless(socket) {
    socket.write(head('transfer-encoding: chunked\r\n'))
    pour(socket, `400\r\n${'x'.repeat(1_024)}\r\n`, 1)
  },
  'endless-nothing'(socket) {
    socket.write(head('transfer-encoding: chunked\r\ncontent-encoding: gzip\r\n'))
    const start = gzipSync('').subarray(0, 10)
    socket.write(Buffer.concat([Buffer.from('a\r\n'), start, Buffer.from('\r\n')]))
    const empty = Buffer.concat(Array<Buffer>(200).fill(Buffer.from([0, 0, 0, 0xff, 0xff])))
    pour(socket, Buffer.concat([Buffer.from('3e8\r\n'), empty, Buffer.from('\r\n')]), 1)
  },
  headers(socket) {
    socket.write('HTTP/1.1 200 OK\r\n')
    socket.write(`x-a: ${'y'.repeat(1_000)}\r\n`.repeat(10_000))
  },
  'million-headers'(socket) {
    socket.write('HTTP/1.1 200 OK\r\n')
    pour(socket, 'a:b\r\n'.repeat(10_000), 1)
  },
  'head-drip'(socket) {
    socket.write('HTTP/1.1 200 OK\r\nx-a: ')
    pour(socket, 'y', 50)
  },
  interim: (socket) => pour(socket, 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(100), 1),
  'go-on': (socket) => pour(socket, 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100), 1),
  gigabyte(socket) {
    socket.write(head('content-length: 1073741824\r\n'))
    pour(socket, Buffer.alloc(1024 * 1024), 1)
  },
  ok: (socket) => socket.end(`${head('content-length: 2\r\nconnection: close\r\n')}ok`),
  drip(socket) {
    socket.write(head('transfer-encoding: chunked\r\n'))
    pour(socket, '1\r\nx\r\n', 50)
  },
}

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', (request) => {
    const [, path = ''] = /^GET \/(\S*)/.exec(String(request)) ?? []
    answers[path]?.(socket)
  })
}).listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit())
