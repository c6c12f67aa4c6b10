/** Attempts to speak on the bridge in another's name, out of turn, or more than is allowed; and to be answered twice. */
import { type HostileGuest, refused, timeout } from './guest.ts'

export const forgeries: readonly HostileGuest[] = [
  {
    name: 'writes slots into its answer',
    body: `return ']],[[1,{"replicas":9}'`,
    expected: { value: ']],[[1,{"replicas":9}' },
  },
  { name: 'answers as a failure of another kind', body: `return [0, 'memory']`, expected: { value: [0, 'memory'] } },
  { name: 'answers with a toJSON', body: `return { toJSON: () => [1, 2] }`, expected: { value: [1, 2] } },
  { name: 'answers with a toJSON of nothing', body: 'return { toJSON: () => undefined }', expected: { value: null } },
  {
    name: 'answers with a toJSON that throws',
    body: `return { toJSON() { throw new Error('mine') } }`,
    expected: refused(/^Error: mine/),
  },
  { name: 'answers with a function', body: 'return () => 1', expected: { value: null } },
  { name: 'answers with a symbol', body: 'return Symbol.iterator', expected: { value: null } },
  { name: 'answers with a bigint', body: 'return 1n', expected: refused(/BigInt/) },
  { name: 'answers with itself', body: 'const a = {}; a.a = a; return a', expected: refused(/circular/i) },
  {
    name: 'answers with a proxy',
    body: `return new Proxy({}, { ownKeys: () => ['a'], getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }), get: (_, key) => (key === 'a' ? 1 : undefined) })`,
    expected: { value: { a: 1 } },
  },
  { name: 'answers with what no number is', body: 'return [NaN, Infinity, -0]', expected: { value: [null, null, 0] } },
  {
    name: 'answers with a reserved key',
    body: `return JSON.parse('{"__proto__":{"polluted":1}}')`,
    expected: { fails: 'ORC_SANDBOX_PROTOCOL', words: /__proto__/ },
  },
  {
    name: 'answers with an escaped reserved key',
    body: `return { ['constr\\u0075ctor']: 1 }`,
    expected: { fails: 'ORC_SANDBOX_PROTOCOL', words: /constructor/ },
  },
  {
    name: 'answers forty levels deep',
    body: 'let a = 1; for (let i = 0; i < 40; i++) a = [a]; return a',
    expected: { fails: 'ORC_SANDBOX_PROTOCOL', words: /nested deeper/ },
  },
  {
    name: 'answers ten thousand levels deep',
    body: 'let a = 1; for (let i = 0; i < 10_000; i++) a = [a]; return a',
    expected: { fails: 'ORC_SANDBOX_PROTOCOL', words: /nested deeper/ },
  },
  {
    name: 'answers a text of lone surrogates',
    body: `return '\\ud800'.repeat(3)`,
    expected: { value: '\ud800\ud800\ud800' },
  },
  { name: 'answers more than limits.outKb', body: `return 'x'.repeat(70_000)`, expected: refused(/limits\.outKb/) },
  {
    name: 'answers more than a frame may have',
    body: `return 'x'.repeat(4_000_000)`,
    expected: refused(/limits\.outKb/),
  },
  {
    name: 'makes a host call in the name of another',
    body: `return ctx.kv.get.call({ call: 1, instance: 'another' }, 'k')`,
    expected: { value: 'k' },
  },
  {
    name: 'looks up an operation that is none',
    body: `return ['constructor', '__proto__', 'toString', 'sudo'].map((name) => typeof ctx.kv[name])`,
    expected: { value: ['undefined', 'undefined', 'undefined', 'undefined'] },
  },
  {
    name: 'asks ctx.has with an object that changes',
    body: `let n = 0; return [ctx.has({ toString: () => (n++ === 0 ? 'net' : 'kv') }), ctx.has('__proto__'), ctx.has('constructor')]`,
    expected: { value: [false, false, false] },
  },
  {
    name: 'makes host calls while its arguments are written',
    body: `let n = 0; const deep = { toJSON() { n += 1; return n < 5 ? (ctx.kv.get(deep).catch(() => {}), 'd') : 'end' } }; await ctx.kv.get(deep); return n`,
    expected: { value: 5 },
  },
  {
    name: 'makes host calls without end while its arguments are written',
    body: `const deep = { toJSON() { return ctx.kv.get(deep) } }; return ctx.kv.get(deep)`,
    timeoutMs: 2_000,
    expected: refused(/more than 20 host calls/),
  },
  {
    name: 'hands the host a proxy',
    body: `return ctx.kv.get(new Proxy({}, { get: () => () => 'mine' }))`,
    expected: { value: 'mine' },
  },
  { name: 'hands the host a bigint', body: 'return ctx.kv.get(1n)', expected: refused(/BigInt/) },
  {
    name: 'hands the host a text that is too long',
    body: `return ctx.kv.put('k', 'x'.repeat(70_000))`,
    expected: refused(/larger than limits\.outKb/),
  },
  {
    name: 'hands the host too much in many parts',
    body: `for (let n = 0; n < 1_000; n++) await ctx.kv.put('k', 'x'.repeat(60_000))`,
    timeoutMs: 2_000,
    expected: refused(/more than 20 host calls/),
  },
  {
    name: 'hands the host arguments whose text never ends',
    body: `await ctx.kv.get({ toJSON() { for (;;); } })`,
    expected: timeout,
  },
  {
    name: 'hands the host what throws',
    body: `return ctx.kv.get({ toJSON() { throw new Error('mine') } })`,
    expected: refused(/^Error: mine/),
  },
  {
    name: 'keeps ctx and uses it in the next call',
    body: `const kept = globalThis.kept; globalThis.kept = ctx; return kept === undefined ? 1 : saidLater(() => kept.kv.get('k'))`,
    calls: 2,
    expected: { value: 'Error: kv.get: its hook call is over' },
  },
  {
    name: 'goes on after its answer',
    body: `globalThis.late ??= []; ctx.kv.get('k').then(() => ctx.kv.get('late')).catch((error) => globalThis.late.push(error.code)); await null; return globalThis.late`,
    calls: 3,
    expected: { value: ['ORC_CAPABILITY_DENIED', 'ORC_CAPABILITY_DENIED'] },
  },
  {
    name: 'logs after its answer',
    body: `Promise.resolve().then(() => {}).then(() => {}).then(() => ctx.log.info('late')); return 1`,
    calls: 2,
    expected: { value: 1 },
  },
  {
    name: 'answers with getters that count',
    body: 'let n = 0; return { get a() { n += 1; return n }, get b() { n += 1; return n } }',
    expected: { value: { a: 1, b: 2 } },
  },
  { name: 'answers with a getter that never ends', body: 'return { get a() { for (;;); } }', expected: timeout },
  { name: 'answers with a toJSON that never ends', body: 'return { toJSON() { for (;;); } }', expected: timeout },
  { name: 'holds with words that never end', body: `return hold({ toString() { for (;;); } })`, expected: timeout },
  { name: 'holds with too many words', body: `return hold('x'.repeat(1e6)).reason.length`, expected: { value: 500 } },
  { name: 'logs words that never end', body: 'ctx.log.info({ toString() { for (;;); } })', expected: timeout },
  {
    name: 'gets an error of the host',
    body: `try { await ctx.kv.get('fail') } catch (error) { return [error.message, error.code, /home|node:|\\.ts|cjs/.test(error.stack), error.cause === undefined] }`,
    expected: { value: ['kv.get failed', 'ORC_CAPABILITY_FAILED', false, true] },
  },
]

export const floods: readonly HostileGuest[] = [
  {
    name: 'calls the host without end',
    body: `for (;;) ctx.kv.get('k')`,
    expected: refused(/more than 20 host calls/),
  },
  {
    name: 'calls the host without end and minds no error',
    body: `for (;;) try { ctx.kv.get('k') } catch {}`,
    expected: timeout,
  },
  {
    name: 'waits for a hundred thousand host calls',
    body: `const all = []; for (let i = 0; i < 1e5; i++) all.push(ctx.kv.get('k')); await Promise.all(all)`,
    timeoutMs: 2_000,
    expected: refused(/more than 20 host calls/),
  },
  {
    name: 'calls the host in turns without end',
    body: `for (;;) await ctx.kv.get('k')`,
    timeoutMs: 2_000,
    expected: refused(/more than 20 host calls/),
  },
  { name: 'logs without end', body: `for (;;) ctx.log.info('x'.repeat(10_000))`, expected: timeout },
  {
    name: 'logs a hundred thousand lines',
    body: `for (let i = 0; i < 1e5; i++) ctx.log.info('x'); return 'done'`,
    expected: { value: 'done' },
    timeoutMs: 2_000,
  },
  {
    name: 'logs a line of a megabyte',
    body: `ctx.log.info('x'.repeat(1e6), { y: 'y'.repeat(1e6) }); return 'done'`,
    expected: { value: 'done' },
  },
  {
    name: 'starts a million timers',
    body: `for (let i = 0; i < 1e6; i++) await ctx.timers.every(100, () => {})`,
    timeoutMs: 2_000,
    expected: refused(/more than 20 host calls/),
  },
  {
    name: 'starts a timer that is no function',
    body: `return ctx.timers.after(100, 'alert(1)')`,
    expected: refused(/run must be a function/),
  },
]
