// A sandbox process that is not ours: speaks the channel wrongly in the way its first argument names.
const { Socket } = require('node:net')
const way = __filename.match(/forged-(.+)\.cjs$/)[1]
const channel = new Socket({ fd: 3 })
const frame = (header, body = '') => {
  const h = Buffer.from(header)
  const b = Buffer.from(body)
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(4 + h.length + b.length, 0)
  bytes.writeUInt32BE(h.length, 4)
  return Buffer.concat([bytes, h, b])
}
const say = (message, body) => channel.write(frame(JSON.stringify(message), body))
const ways = {
  'bad-json': () => channel.write(frame('{not json}')),
  'huge-length': () => channel.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2])),
  'zero-length': () => channel.write(Buffer.alloc(8)),
  'unknown-op': () => say({ op: 'sudo' }),
  'extra-key': () => say({ op: 'ready', pid: 1, plugin: 'another' }),
  'reserved-key': () => channel.write(frame('{"op":"ready","pid":1,"__proto__":{"polluted":1}}')),
  deep: () => channel.write(frame('['.repeat(5000) + ']'.repeat(5000))),
  'unasked-answer': () => say({ op: 'result', id: 4711 }, '[[1,1]]'),
  'host-flood': () => {
    for (let n = 0; n < 1e5; n += 1)
      say({ op: 'host', instance: 'x', call: 1, request: n + 1, operation: 'kv.get' }, '[]')
  },
  'beat-flood': () => {
    for (let n = 0; n < 1e4; n += 1) say({ op: 'beat', isolates: [] })
  },
  'pending-flood': () => {
    for (let n = 0; n < 1e4; n += 1) say({ op: 'pending', id: 4711 })
  },
  // Only who stops listening makes it fail, and only then it says what ends it.
  noise: () => {
    const more = (error) => (error ? say({ op: 'sudo' }) : process.stdout.write(Buffer.alloc(65536, 65), more))
    process.stdout.on('error', () => {})
    more()
  },
  drip: () => {
    channel.write(Buffer.from([0, 16, 0, 0, 0, 0, 0, 2]))
    setInterval(() => channel.write(Buffer.alloc(1)), 5)
  },
  'late-host-call': () => {},
  endless: () => {
    const chunk = Buffer.alloc(65536)
    channel.write(Buffer.from([0, 16, 0, 0, 0, 0, 0, 2]))
    const more = () => channel.write(chunk, more)
    more()
  },
}
say({ op: 'ready', pid: process.pid })
setTimeout(() => ways[way](), 50)
let heard = 0
channel.on('data', () => {
  heard += 1
  if (way !== 'late-host-call') return
  say({ op: 'result', id: heard }, '[[1,null]]')
  const late = { op: 'host', instance: 'one', call: heard, request: 1, operation: 'kv.get' }
  if (heard === 2) setTimeout(() => say(late, '[]'), 50)
})
setInterval(() => {}, 1000)
