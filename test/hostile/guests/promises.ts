/** Promises that are none, that never settle or settle twice, and errors that bite whoever reads them. */
import { type HostileGuest, refused, timeout } from './guest.ts'

export const promises: readonly HostileGuest[] = [
  {
    name: 'answers twice through a thenable',
    body: 'return { then(done) { done(1); done(2) } }',
    isBare: true,
    expected: { value: 1 },
  },
  {
    name: 'answers and fails through a thenable',
    body: `return { then(done, fail) { done(1); fail(new Error('x')); throw new Error('y') } }`,
    isBare: true,
    expected: { value: 1 },
  },
  {
    name: 'keeps the functions it was handed and answers again',
    body: 'globalThis.kept?.(666); return { then(done) { globalThis.kept = done; done(globalThis.kept === undefined ? 0 : 1) } }',
    calls: 3,
    isBare: true,
    expected: { value: 1 },
  },
  {
    name: 'compiles code through the functions it was handed',
    body: `return { then(done) { done(said(() => done.constructor('return 1')())) } }`,
    isBare: true,
    expected: { value: 'TypeError: code from strings is not available to plugins' },
  },
  {
    name: 'changes its then while it is read',
    body: `let n = 0; return { get then() { n += 1; return n === 1 ? (done) => done(n) : undefined } }`,
    isBare: true,
    expected: { value: {} },
  },
  {
    name: 'has a then that throws when read',
    body: `return { get then() { throw new Error('mine') } }`,
    isBare: true,
    expected: refused(/^Error: mine/),
  },
  {
    name: 'has a then that never ends when read',
    body: 'return { get then() { for (;;); } }',
    isBare: true,
    expected: timeout,
  },
  { name: 'has a then that never ends', body: 'return { then() { for (;;); } }', isBare: true, expected: timeout },
  {
    name: 'lies about its constructor',
    body: `let n = 0; const p = Promise.resolve(1); Object.defineProperty(p, 'constructor', { get() { n += 1; return n === 1 ? Promise : function Mine(run) { run((value) => { globalThis.seen = value }, () => {}) } } }); return p`,
    isBare: true,
    expected: { value: 1 },
  },
  {
    name: 'has a species of its own',
    body: `class Mine extends Promise { static get [Symbol.species]() { return function (run) { run((value) => { globalThis.got = String(value) }, () => {}) } } then(a, b) { globalThis.handed = typeof a; return super.then(a, b) } } return new Mine((done) => done(globalThis.got ?? 'nothing'))`,
    calls: 2,
    isBare: true,
    expected: { value: 'undefined' },
  },
  {
    name: 'waits for itself',
    body: 'const p = Promise.resolve().then(() => p); return p',
    expected: refused(/[Cc]haining cycle/),
  },
  { name: 'never settles', body: 'return new Promise(() => {})', isBare: true, expected: timeout },
  {
    name: 'is a thenable of a thenable without end',
    body: 'const endless = { then(done) { done({ then: endless.then }) } }; return endless',
    isBare: true,
    expected: timeout,
  },
  {
    name: 'goes on in microtasks without end',
    body: 'const on = () => Promise.resolve().then(on); return on()',
    expected: timeout,
  },
  {
    name: 'goes on in microtasks after its answer',
    body: 'const on = () => { Promise.resolve().then(on) }; on(); return 1',
    expected: { leaves: 1 },
  },
  { name: 'loops after an await of the host', body: `await ctx.kv.get('k'); for (;;);`, expected: timeout },
  {
    name: 'rejects and nobody listens',
    body: `Promise.reject(new Error('x')); return 1`,
    isBare: true,
    expected: refused(/nobody caught it: x/),
  },
  {
    name: 'rejects after an await of the host and nobody listens',
    body: `await ctx.kv.get('k'); Promise.reject(new Error('x')); await ctx.kv.get('k'); return 1`,
    expected: { value: 1 },
  },
  {
    name: 'rejects a thousand times and nobody listens',
    body: `for (let i = 0; i < 1_000; i++) Promise.reject(new Error('x')); return 1`,
    isBare: true,
    expected: refused(/nobody caught it: x/),
  },
  {
    name: 'rejects with a proxy that never answers and nobody listens',
    body: 'Promise.reject(new Proxy({}, { get() { for (;;); } })); return 1',
    expected: { leaves: 1 },
  },
  {
    name: 'rejects with a message that never ends and nobody listens',
    body: 'Promise.reject({ get message() { for (;;); } }); return 1',
    expected: { leaves: 1 },
  },
  {
    name: 'disposes of what never ends',
    body: '{ using endless = { [Symbol.dispose]() { for (;;); } } }',
    expected: timeout,
  },
  {
    name: 'fails while it disposes',
    body: `{ using a = { [Symbol.dispose]() { throw new Error('a') } }; throw new Error('b') }`,
    expected: refused(/^SuppressedError/),
  },
  {
    name: 'iterates what it resolves with',
    body: 'return Array.fromAsync({ async *[Symbol.asyncIterator]() { yield 1; yield { then(done) { done(2) } } } })',
    expected: { value: [1, 2] },
  },
]

const loop = 'for (;;);'
export const errors: readonly HostileGuest[] = [
  { name: 'throws nothing', body: 'throw undefined', expected: refused(/^undefined$/) },
  { name: 'throws null', body: 'throw null', expected: refused(/^null$/) },
  { name: 'throws a symbol', body: `throw Symbol('x')`, expected: refused(/^Symbol\(x\)$/) },
  { name: 'throws a large bigint', body: 'throw 1n << 4_000_000n', expected: refused(/^a bigint$/) },
  { name: 'throws a function', body: `throw function mine() {}`, expected: refused(/^function mine/) },
  { name: 'throws an object without a prototype', body: 'throw Object.create(null)', expected: refused(/^Error: $/) },
  {
    name: 'throws a revoked proxy',
    body: 'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy',
    expected: refused(/cannot be shown/),
  },
  {
    name: 'throws a proxy that is different each time',
    body: `throw new Proxy({}, { get: (_, key) => (key === 'message' ? 'm' : {}) })`,
    expected: refused(/^Error: m$/),
  },
  {
    name: 'throws an error whose message throws',
    body: `throw { get message() { throw new Error('x') } }`,
    expected: refused(/cannot be shown/),
  },
  {
    name: 'throws an error whose message throws itself',
    body: `const bad = { get message() { throw bad } }; throw bad`,
    expected: refused(/cannot be shown/),
  },
  {
    name: 'throws an error whose getters recurse',
    body: `throw { get message() { return this.message } }`,
    expected: refused(/cannot be shown/),
  },
  {
    name: 'throws an error with a toString that never ends',
    body: `throw { toString() { ${loop} }, [Symbol.toPrimitive]() { ${loop} } }`,
    expected: refused(/^Error: $/),
  },
  {
    name: 'throws an error with a name and a message that are no texts',
    body: `throw Object.assign(new Error('x'), { name: 1, message: { toString() { ${loop} } } })`,
    expected: refused(/^Error: /),
  },
  {
    name: 'throws a message of a megabyte',
    body: `throw new Error('x'.repeat(1e6))`,
    expected: refused(/^Error: x{300,490}/),
  },
  {
    name: 'throws a name and a message of a quarter of a gigabyte',
    body: `const long = 'x'.repeat(2 ** 27); throw { name: long + long, message: long }`,
    expected: refused(/^a text of \d+ characters/),
    timeoutMs: 1_000,
  },
  {
    name: 'throws words that look like those of the engine',
    body: `throw new Error('Script execution timed out.')`,
    expected: refused(/^Error: Script execution timed out/),
  },
  {
    name: 'throws words that look like the memory limit',
    body: `throw new Error('Isolate was disposed during execution due to memory limit')`,
    expected: refused(/memory limit/),
  },
  {
    name: 'rejects with words that look like those of the engine',
    body: `return Promise.reject(new Error('Script execution timed out.'))`,
    expected: refused(/^Error: Script execution timed out/),
  },
  {
    name: 'throws an error with a cause without end',
    body: `const e = new Error('x'); e.cause = e; throw e`,
    expected: refused(/^Error: x/),
  },
  {
    name: 'throws many errors at once',
    body: `throw new AggregateError(Array.from({ length: 1e4 }, () => new Error('x')), 'many')`,
    expected: refused(/^AggregateError: many/),
  },
  {
    name: 'overflows the stack',
    body: 'const f = () => f(); f()',
    expected: refused(/^RangeError: Maximum call stack/),
  },
  {
    name: 'overflows the stack and catches it without end',
    body: 'const f = () => { try { f() } catch { f() } }; f()',
    expected: timeout,
  },
  { name: 'throws an error whose message never ends', body: `throw { get message() { ${loop} } }`, expected: timeout },
  {
    name: 'throws an error whose stack never ends',
    body: `throw { message: 'x', get stack() { ${loop} } }`,
    expected: timeout,
  },
  { name: 'throws a proxy that never answers', body: `throw new Proxy({}, { get() { ${loop} } })`, expected: timeout },
  {
    name: 'rejects with a proxy that never answers',
    body: `return Promise.reject(new Proxy({}, { get() { ${loop} } }))`,
    expected: timeout,
  },
  {
    name: 'throws a function whose text never ends',
    body: `throw Object.assign(() => {}, { toString() { ${loop} } })`,
    expected: timeout,
  },
]
