/** Ways out of a realm that have worked somewhere: through constructors, errors, promises, symbols, and names left over. */
import { type HostileGuest, refused } from './guest.ts'

const noCode = 'TypeError: code from strings is not available to plugins'

/** Each an expression for a function, whose constructor would compile code. */
const functions: readonly [string, string][] = [
  ['an arrow', '(() => {})'],
  ['an async function', '(async () => {})'],
  ['a generator', '(function* () {})'],
  ['an async generator', '(async function* () {})'],
  ['a class', '(class {})'],
  ['a method', '({ run() {} }).run'],
  ['an accessor', `Object.getOwnPropertyDescriptor({ get x() { return 1 } }, 'x').get`],
  ['a bound function', '(() => {}).bind(null)'],
  ['a proxy of a function', 'new Proxy(() => {}, {})'],
  ['Object', 'Object'],
  ['an error', `new Error('x').constructor`],
  ['an error of the engine', `(() => { try { null.x } catch (error) { return error.constructor } })()`],
  ['a stack overflow', `(() => { const f = () => f(); try { f() } catch (error) { return error.constructor } })()`],
  ['an AggregateError', 'new AggregateError([]).constructor'],
  ['a SuppressedError', 'new SuppressedError(1, 2).constructor'],
  ['a DisposableStack', 'new DisposableStack().constructor'],
  ['an AsyncDisposableStack', 'new AsyncDisposableStack().constructor'],
  ['a resolving function', 'Promise.withResolvers().resolve'],
  ['a revoke function', 'Proxy.revocable({}, {}).revoke'],
  ['the getter of a stack', `Object.getOwnPropertyDescriptor(new Error('x'), 'stack').get`],
  [
    'the thrower behind arguments',
    `Object.getOwnPropertyDescriptor((function () { return arguments })(), 'callee').get`,
  ],
  ['an iterator helper', '[].values().map((x) => x).next'],
  ['Iterator.from', 'Iterator.from({ next() {} }).next'],
  ['a segmenter', `new Intl.Segmenter().segment('a').containing`],
  ['a number format', 'new Intl.NumberFormat().format'],
  ['a collator', 'new Intl.Collator().compare'],
  ['Date', 'Date'],
  ['ArrayBuffer', 'ArrayBuffer'],
  ['Function itself', 'Function'],
  ['a host function', 'ctx.kv.get'],
  ['ctx.has', 'ctx.has'],
  ['hold', 'hold'],
  ['the getter of a binding', `Object.getOwnPropertyDescriptor(ctx, 'kv').get`],
]

const constructors: HostileGuest[] = functions.map(([name, expression]) => ({
  name: `compiles code through the constructor of ${name}`,
  body: `return said(() => (${expression}).constructor('return globalThis')())`,
  expected: { value: noCode },
}))

const later: HostileGuest[] = (
  [
    ['a failed import', `import('node:fs')`],
    ['a host error', `ctx.kv.get('fail')`],
    ['an async iteration', `Array.fromAsync([Promise.reject(new Error('x'))])`],
    ['a promise that waits for itself', `(() => { const p = Promise.resolve().then(() => p); return p })()`],
    ['Promise.any', 'Promise.any([])'],
    [
      'an async generator that delegates to a thenable',
      `(async function* () { yield* { [Symbol.asyncIterator]: () => ({ next: () => ({ then(_, no) { no(new Error('x')) } }) }) } })().next()`,
    ],
    [
      'an async generator that returns a thenable',
      `(async function* () { return { get then() { throw new Error('x') } } })().next()`,
    ],
    [
      'disposal that fails twice',
      `(async () => { await using a = { async [Symbol.asyncDispose]() { throw new Error('a') } }; throw new Error('b') })()`,
    ],
  ] as const
).map(([name, expression]) => ({
  name: `compiles code through the error of ${name}`,
  body: `try { await ${expression} } catch (error) { return said(() => error.constructor.constructor('return globalThis')()) }`,
  expected: { value: noCode },
}))

const absent = [
  'WebAssembly',
  'SharedArrayBuffer',
  'Atomics',
  'console',
  'WeakRef',
  'FinalizationRegistry',
  'Float16Array',
  'ShadowRealm',
  'Temporal',
  'process',
  'require',
  'global',
  'Buffer',
  'setTimeout',
  'setImmediate',
  'queueMicrotask',
  'fetch',
  'structuredClone',
  'performance',
  'crypto',
  'postMessage',
  'ivm',
  'bootstrap',
  'post',
  '$0',
  '$1',
]

const names: HostileGuest[] = [
  {
    name: 'looks for what has authority among the names of the global',
    body: `return ${JSON.stringify(absent)}.filter((name) => name in globalThis)`,
    expected: { value: [] },
  },
  {
    name: 'evaluates directly',
    body: `return said(() => eval('1'))`,
    expected: { value: 'ReferenceError: eval is not defined' },
  },
  {
    name: 'reads the global as `this`',
    body: `return typeof (function () { return this })()`,
    expected: { value: 'undefined' },
  },
  {
    name: 'reads who called it',
    body: `function inner() { return inner.caller } return said(inner).replace(/:.*/, '')`,
    expected: { value: 'TypeError' },
  },
  {
    name: 'reads what it was called with, of a function of the bridge',
    body: `return said(() => ctx.kv.get.arguments).replace(/:.*/, '')`,
    expected: { value: 'TypeError' },
  },
  {
    name: 'reads the callee',
    body: `return said(() => (function () { return arguments.callee })()).replace(/:.*/, '')`,
    expected: { value: 'TypeError' },
  },
  {
    name: 'puts a proxy under the global',
    body: `said(() => Object.setPrototypeOf(globalThis, new Proxy({}, { has: () => true, get: () => 'mine' })))
      const seen = [await ctx.kv.get('k'), typeof JSON.parse('1')]
      Object.setPrototypeOf(globalThis, Object.prototype)
      return seen`,
    calls: 2,
    expected: { value: ['k', 'number'] },
  },
  {
    name: 'looks for paths of the host in a stack',
    body: `const deep = (n) => (n === 0 ? new Error('x').stack : deep(n - 1)); return /node:|file:|\\.[cm]?js:(?<!plugin\\.js:)/.test(deep(0))`,
    expected: { value: false },
  },
]

const stacks: HostileGuest[] = [
  {
    name: 'formats stacks itself',
    body: `return said(() => { Error.prepareStackTrace = (_, sites) => sites; return typeof new Error('x').stack })`,
    expected: {
      value:
        "TypeError: Cannot assign to read only property 'prepareStackTrace' of function 'function Error() { [native code] }'",
    },
  },
  {
    name: 'formats the stacks of a subclass',
    body: `class Mine extends Error { static prepareStackTrace(_, sites) { return sites } } return typeof new Mine('x').stack`,
    expected: { value: 'string' },
  },
  {
    name: 'captures call sites on an object',
    body: `const mine = { prepareStackTrace: (_, sites) => sites }; Error.captureStackTrace(mine); return typeof mine.stack`,
    expected: { value: 'undefined' },
  },
  {
    name: 'asks for endless stacks',
    body: `return said(() => { Error.stackTraceLimit = Infinity }).replace(/ '.*/, '')`,
    expected: { value: 'TypeError: Cannot assign to read only property' },
  },
]

/** Each an expression that changes a built-in; none may succeed. */
const changes: readonly [string, string][] = [
  ['pollutes Object.prototype', 'Object.prototype.polluted = 1'],
  ['pollutes through __proto__', `({}).__proto__.polluted = 1`],
  ['pollutes through the constructor', `({}).constructor.prototype.polluted = 1`],
  ['pollutes what `in` sees', `Reflect.defineProperty(Object.prototype, 'kv', { value: 1 }) || 'kv' in {} || fail()`],
  ['defines a getter the old way', `Object.prototype.__defineGetter__('then', () => 1)`],
  ['gives Object.prototype a prototype', `Object.prototype.__proto__ = { polluted: 1 }`],
  ['gives every array a toJSON', `Array.prototype.toJSON = () => 'mine'`],
  ['patches JSON.stringify', `JSON.stringify = () => '[[1,666]]'`],
  ['patches JSON.parse', 'JSON.parse = () => ({})'],
  ['patches Reflect.apply', 'Reflect.apply = () => 666'],
  ['patches Function.prototype.call', 'Function.prototype.call = () => 666'],
  ['patches Promise.prototype.then', 'Promise.prototype.then = () => 666'],
  ['patches Promise.resolve', 'Promise.resolve = () => 666'],
  ['patches the species of promises', 'Object.defineProperty(Promise, Symbol.species, { value: Array })'],
  ['patches Map.prototype.get', 'Map.prototype.get = () => 666'],
  ['patches how arrays are iterated', 'Array.prototype[Symbol.iterator] = null'],
  ['patches the iterator behind arrays', 'Object.getPrototypeOf([][Symbol.iterator]()).next = null'],
  ['patches the helpers of iterators', 'Object.getPrototypeOf([].values().map((x) => x)).next = null'],
  [
    'patches async iteration',
    'Object.getPrototypeOf(Object.getPrototypeOf((async function* () {}).prototype)).next = null',
  ],
  ['patches String.prototype.slice', 'String.prototype.slice = null'],
  ['patches RegExp.prototype.exec', 'RegExp.prototype.exec = null'],
  ['patches Symbol.replace', 'RegExp.prototype[Symbol.replace] = null'],
  ['patches Error.prototype.name', `Error.prototype.name = 'mine'`],
  ['patches the getter of stacks', `Object.getOwnPropertyDescriptor(new Error('x'), 'stack').get.call = 1`],
  ['patches Symbol.hasInstance', `Object.defineProperty(Error, Symbol.hasInstance, { value: () => true })`],
  ['patches Symbol.toPrimitive', 'Date.prototype[Symbol.toPrimitive] = null'],
  ['patches Math.random', 'Math.random = () => 4'],
  ['patches Intl', 'Intl.NumberFormat.prototype.format = null'],
  ['patches SuppressedError', `SuppressedError.prototype.name = 'mine'`],
  ['patches DisposableStack', 'DisposableStack.prototype.dispose = null'],
  ['replaces a global', 'globalThis.JSON = {}'],
  ['removes a global', 'delete globalThis.Promise'],
  ['redefines a global', `Object.defineProperty(globalThis, 'Promise', { value: 1 })`],
  ['replaces undefined', 'globalThis.undefined = 1'],
  ['replaces a host function', 'ctx.kv.get = () => 1'],
  ['replaces a binding', 'ctx.kv = {}'],
  ['adds to ctx', 'ctx.mine = 1'],
  ['writes on a host function', 'ctx.kv.get.mine = 1'],
  ['writes on what all calls share', 'hold.mine = 1'],
  ['writes into its config', 'config.n = 2'],
  ['writes deep into its config', 'config.deep.n = 2'],
]

const patches: HostileGuest[] = changes.map(([name, expression]) => ({
  name,
  body: `const fail = () => { throw new TypeError('refused') }; return said(() => { ${expression} }).replace(/:.*/, '')`,
  expected: { value: 'TypeError' },
}))

const others: HostileGuest[] = [
  {
    name: 'gives itself functions of the bridge through super',
    body: `const mine = { __proto__: ctx.kv, get(key) { return super.get(key) }, up() { return super.constructor } }
      return [await mine.get('k'), mine.up() === undefined]`,
    expected: { value: ['k', true] },
  },
  {
    name: 'reads a clock that was not granted, wherever one might be',
    body: `const clocks = [() => Date.now(), () => new Date(), () => Date(), () => new (class extends Date {})(), () => Reflect.construct(Date, []),
        () => new Date(0).constructor.now(), () => new Intl.DateTimeFormat().format(), () => new Intl.DateTimeFormat().formatToParts(), () => ctx.clock.now()]
      return clocks.map(said).filter((words) => !words.includes('ctx.clock was not granted'))`,
    expected: { value: [] },
  },
  {
    name: 'draws lots that were not granted',
    body: `return said(() => Math.random()).includes('ctx.random was not granted')`,
    expected: { value: true },
  },
  {
    name: 'reads what was matched last',
    body: `/(secret)/.exec('secret'); return [RegExp.$1, RegExp.lastMatch, RegExp.input, RegExp['$&']].map(String)`,
    expected: { value: ['undefined', 'undefined', 'undefined', 'undefined'] },
  },
  {
    name: 'makes buffers that grow',
    body: `const Buffers = [ArrayBuffer, new Uint8Array(1).buffer.constructor, class extends ArrayBuffer {}]
      return Buffers.map((Kind) => { const made = new Kind(8, { maxByteLength: 2 ** 30 }); return [made.resizable, made.resize, made.transfer, made.slice(4).byteLength].join() })`,
    expected: { value: [',,,4', ',,,4', ',,,4'] },
  },
  {
    name: 'writes raw text into its answer',
    body: `return [said(() => JSON.rawJSON('{"a":1}')).replace(/:.*/, ''), JSON.rawJSON('"]],[[1"')]`,
    expected: { value: ['SyntaxError', ']],[[1'] },
  },
  {
    name: 'finds something that is not frozen',
    body: `const found = [], seen = new Set(), queue = []
      const add = (value, path) => { if (Object(value) === value && !seen.has(value)) { seen.add(value); queue.push([value, path]) } }
      const mine = [new Error('x'), /a/.exec('a'), 'a'.matchAll(/a/g), [].values(), [].values().map((x) => x), Iterator.from({ next() {} }), new Map().entries(), new Set().values(), ''[Symbol.iterator](),
        new Intl.Segmenter().segment('a'), new Intl.Segmenter().segment('a')[Symbol.iterator](), (function () { return arguments })(), Promise.resolve(), new Date(0), new Uint8Array(1), new DataView(new ArrayBuffer(1)),
        Object(1n), Object(Symbol()), () => {}, async () => {}, new DisposableStack(), new AsyncDisposableStack(), new WeakMap(), new WeakSet(), JSON.rawJSON('1'), new Intl.Locale('en'), globalThis]
      mine.forEach((value, index) => add(value, index))
      for (const sample of [function* () {}, async function* () {}]) add(Object.getPrototypeOf(sample), sample.name)
      add(ctx, 'ctx'); add(hold, 'hold'); add(config, 'config')
      for (let index = 0; index < queue.length; index++) {
        const [value, path] = queue[index]
        if (!mine.includes(value) && !Object.isFrozen(value)) found.push(path)
        add(Object.getPrototypeOf(value), path + '.__proto__')
        for (const key of Reflect.ownKeys(value)) {
          const { value: part, get, set } = Object.getOwnPropertyDescriptor(value, key)
          add(part, path + '.' + String(key)); add(get, path + '.get ' + String(key)); add(set, path + '.set ' + String(key))
        }
      }
      add(ctx.kv, 'kv')
      return [found, Object.isFrozen(ctx.kv), Object.values(ctx.kv).every(Object.isFrozen), seen.size > 700]`,
    timeoutMs: 1_000,
    expected: { value: [[], true, true, true] },
  },
  {
    name: 'is ordinary code that sets inherited properties of its own objects',
    body: `const made = [], set = (target, key) => { target[key] = 1; made.push(Object.hasOwn(target, key) && target[key] === 1) }
      for (const key of ['constructor', 'toString', 'valueOf', 'hasOwnProperty', 'isPrototypeOf', 'toLocaleString', 'propertyIsEnumerable']) set({}, key)
      for (const key of ['apply', 'call', 'bind', 'toString']) set(() => {}, key)
      for (const key of ['name', 'message', 'toString', 'constructor']) for (const Kind of [Error, TypeError, RangeError]) set(new Kind('x'), key)
      for (const key of ['push', 'map', 'toString', 'concat', Symbol.iterator]) set([], key)
      for (const [Kind, key] of [[Promise, 'then'], [Map, 'get'], [Set, 'add'], [Iterator, 'map'], [Date, 'toJSON'], [RegExp, 'toString']]) set(Object.create(Kind.prototype), key)
      class Wrong extends Error {}
      Wrong.prototype.name = 'Wrong'
      return [made.length, made.every(Boolean), String(new Wrong('x'))]`,
    expected: { value: [34, true, 'Wrong: x'] },
  },
  {
    name: 'answers with hooks of an inspector and a serializer',
    body: `const hooks = { [Symbol.for('nodejs.util.inspect.custom')]() { globalThis.shown = true }, get [Symbol.toStringTag]() { globalThis.shown = true } }
      const was = globalThis.shown === true; globalThis.kept = hooks; return { was, hooks }`,
    calls: 2,
    expected: { value: { was: false, hooks: {} } },
  },
  {
    name: 'declares a name that the bridge uses',
    body: `var post = 1, JSON = { stringify: () => '666' }; return post`,
    expected: { value: 1 },
  },
  { name: 'asks what it was not granted', body: 'return ctx.net.fetch', expected: refused(/ctx\.net was not granted/) },
]

export const escapes: readonly HostileGuest[] = [...constructors, ...later, ...names, ...stacks, ...patches, ...others]
