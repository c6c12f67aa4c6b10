// A sandbox process that is not ours. It does as it is told until its plugin is called, and then speaks the channel wrongly
// in the way that is written into its first line when it is put in place.
const way = 'honest'
const { Socket } = require('node:net')
const channel = new Socket({ fd: 3 })
const prefix = (length, header) => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(length, 0)
  bytes.writeUInt32BE(header, 4)
  return bytes
}
const frame = (header, body = '') => {
  const h = Buffer.from(header)
  const b = Buffer.from(body)
  return Buffer.concat([prefix(4 + h.length + b.length, h.length), h, b])
}
const say = (message, body) => channel.write(frame(JSON.stringify(message), body))
const beat = () => say({ op: 'beat', isolates: [] })
const fill = (chunk) => {
  const more = () => channel.write(chunk, more)
  more()
}
const spin = (ms) => {
  const endMs = Date.now() + ms
  while (Date.now() < endMs);
}
const nested = (levels) => '['.repeat(levels) + ']'.repeat(levels)
const host = (call, more = {}) => ({ op: 'host', instance: 'one', call, request: 1, operation: 'kv.get', ...more })
const answer = (id, body = '[[1,"done"]]') => say({ op: 'result', id }, body)
let beats = setInterval(beat, 100)

const ways = {
  honest: ({ id }) => answer(id),
  // IPC-01
  'bad-json': () => channel.write(frame('{not json}')),
  'no-text': () => channel.write(Buffer.concat([prefix(8, 4), Buffer.from([0xff, 0xfe, 0x80, 0x00])])),
  truncated: () => {
    channel.write(frame('{"op":"beat","isolates":[]}').subarray(0, 12))
    channel.end()
  },
  'huge-length': () => channel.write(prefix(0xffff_ffff, 2)),
  'zero-length': () => channel.write(Buffer.alloc(8)),
  'header-beyond-frame': () => channel.write(Buffer.concat([prefix(8, 5000), Buffer.alloc(4)])),
  drip: () => {
    clearInterval(beats)
    channel.write(prefix(0x10_0000, 2))
    setInterval(() => channel.write(Buffer.alloc(1)), 5)
  },
  'slow-drip': () => {
    clearInterval(beats)
    channel.write(prefix(0x10_0000, 2))
    setInterval(() => channel.write(Buffer.alloc(1)), 400)
  },
  silence: () => clearInterval(beats),
  // IPC-02
  endless: () => {
    channel.write(prefix(0x10_0000, 2))
    fill(Buffer.alloc(65536))
  },
  'endless-bodies': () => fill(frame('{"op":"beat","isolates":[]}', 'x'.repeat(1_000_000))),
  'small-frames': () => fill(Buffer.concat(Array(1_000).fill(frame('{"op":"beat","isolates":[]}')))),
  'pending-frames': ({ id }) => fill(Buffer.concat(Array(1_000).fill(frame(JSON.stringify({ op: 'pending', id }))))),
  'host-calls': ({ id }) => {
    for (let request = 1; request < 1e4; request += 1) say(host(id, { request }), '["k"]')
  },
  // Only who stops listening makes it fail, and only then it says what ends it.
  noise: () => {
    const more = (error) => (error ? say({ op: 'sudo' }) : process.stdout.write(Buffer.alloc(65536, 65), more))
    process.stdout.on('error', () => {})
    more()
  },
  // IPC-03
  'other-instance': ({ id }) => say(host(id, { instance: 'another' }), '["k"]'),
  'other-call': ({ id }) => say(host(id + 1), '["k"]'),
  'other-plugin': ({ id }) => say(host(id, { plugin: 'another' }), '["k"]'),
  'unknown-op': () => say({ op: 'sudo' }),
  'inherited-op': () => say({ op: 'constructor' }),
  'extra-key': ({ id }) => say({ op: 'result', id, trusted: true }, '[[1,1]]'),
  'reserved-key': () => channel.write(frame('{"op":"beat","isolates":[],"__proto__":{"polluted":1}}')),
  'escaped-reserved-key': () => channel.write(frame('{"op":"beat","isolates":[],"\\u005f_proto__":{"polluted":1}}')),
  deep: () => channel.write(frame(nested(5_000))),
  'odd-operation': ({ id }) => say(host(id, { operation: '__proto__.polluted' }), '["k"]'),
  'long-instance': ({ id }) => say(host(id, { instance: 'x'.repeat(200) }), '["k"]'),
  'negative-id': () => say({ op: 'result', id: -1 }, '[[1,1]]'),
  'text-for-an-id': ({ id }) => say({ op: 'result', id: String(id) }, '[[1,1]]'),
  'deep-answer': ({ id }) => answer(id, `[[1,${nested(10_000)}]]`),
  'reserved-answer': ({ id }) => answer(id, '[[1,{"__proto__":{"polluted":1}}]]'),
  'too-many-answers': ({ id }) => answer(id, '[[1,1],[1,2]]'),
  // IPC-04
  'unasked-answer': () => say({ op: 'result', id: 4711 }, '[[1,1]]'),
  'second-answer': ({ id }) => {
    answer(id)
    answer(id, '[[1,"again"]]')
  },
  'late-answer': ({ id, timeoutMs }) => setTimeout(() => answer(id), timeoutMs + 300),
  'late-host-call': ({ id }) => {
    answer(id)
    setTimeout(() => say(host(id), '["late"]'), 20)
  },
  'failure-of-no-call': () => say({ op: 'result', id: 4711, failure: 'memory' }),
  // IPC-05
  deaf: () => channel.pause(),
  // IPC-06
  liar: ({ id }) => answer(id, '[[1,{"replicas":1e9,"reason":"trust me"}]]'),
  spinner: ({ id }) => {
    clearInterval(beats)
    beats = setInterval(() => {
      beat()
      spin(95)
    }, 100)
    answer(id)
  },
  'busy-liar': () => {
    clearInterval(beats)
    beats = setInterval(() => {
      beat()
      spin(95)
    }, 100)
  },
}

let held = Buffer.alloc(0)
channel.on('data', (chunk) => {
  held = Buffer.concat([held, chunk])
  while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
    const length = held.readUInt32BE(0)
    const message = JSON.parse(held.toString('utf8', 8, 8 + held.readUInt32BE(4)))
    held = held.subarray(4 + length)
    if (message.op === 'call' && message.hook !== 'lifecycle') ways[way](message)
    else if (message.id !== undefined) answer(message.id, '[[1,null]]')
  }
})
say({ op: 'ready', pid: process.pid })
