/**
 * Runs inside the isolate before any plugin code: takes away what a guest must not have, and freezes what stays, so that
 * nothing a plugin does to a built-in is ever seen by the bridge. Order matters: remove, pin, poison, freeze.
 */

/** What built-in time and chance read instead of the real ones. */
export interface Ambient {
  now(): number
  random(): number
}

const removed = [
  'WebAssembly',
  'SharedArrayBuffer',
  'Atomics',
  'console',
  'WeakRef',
  'FinalizationRegistry',
  'eval',
  'Float16Array',
]

export function harden(ambient: Ambient): void {
  const realm = globalThis as unknown as Record<string, unknown>
  for (const name of removed) Reflect.deleteProperty(realm, name)
  fixArrayBuffer()
  pinErrors()
  // `RegExp.$1` and its kind tell what was matched last, by whomever.
  for (const key of Reflect.ownKeys(RegExp)) {
    if (typeof key === 'string' && !['prototype', 'length', 'name', 'escape'].includes(key)) {
      Reflect.deleteProperty(RegExp, key)
    }
  }
  replaceTime(ambient)
  pin(Math, 'random', () => ambient.random())
  poisonFunctionConstructors()
  freezeRealm()
}

function pin(target: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: false, enumerable: false, configurable: false })
}

/** Resizable buffers are not counted by the memory limit. */
function fixArrayBuffer(): void {
  const Real = ArrayBuffer
  const Fixed = function (this: unknown, length: unknown) {
    if (new.target === undefined) throw new TypeError("Constructor ArrayBuffer requires 'new'")
    return Reflect.construct(Real, [length], new.target)
  } as unknown as ArrayBufferConstructor
  pin(Fixed, 'prototype', Real.prototype)
  pin(Fixed, 'isView', Real.isView)
  pin(Fixed, 'name', 'ArrayBuffer')
  for (const name of ['resize', 'transfer', 'transferToFixedLength', 'resizable', 'maxByteLength', 'detached']) {
    Reflect.deleteProperty(Real.prototype, name)
  }
  pin(Real.prototype, 'constructor', Fixed)
  pin(globalThis, 'ArrayBuffer', Fixed)
}

function pinErrors(): void {
  pin(Error, 'stackTraceLimit', 10)
  pin(Error, 'prepareStackTrace', undefined)
  Reflect.deleteProperty(Error, 'captureStackTrace')
  pin(Error, 'captureStackTrace', () => undefined)
}

/** No ambient clock: built-in time is the host's, or an error that names the capability. */
function replaceTime(ambient: Ambient): void {
  const Real = Date
  const Guest = function (this: unknown, ...parts: unknown[]) {
    if (new.target === undefined) return new Real(ambient.now()).toString()
    return Reflect.construct(Real, parts.length === 0 ? [ambient.now()] : parts, new.target)
  } as unknown as DateConstructor
  pin(Guest, 'prototype', Real.prototype)
  pin(Guest, 'now', () => ambient.now())
  pin(Guest, 'parse', Real.parse)
  pin(Guest, 'UTC', Real.UTC)
  pin(Guest, 'name', 'Date')
  pin(Real.prototype, 'constructor', Guest)
  pin(globalThis, 'Date', Guest)

  const format = Intl.DateTimeFormat.prototype
  const getFormat = Object.getOwnPropertyDescriptor(format, 'format')?.get
  const toParts = format.formatToParts
  Object.defineProperty(format, 'format', {
    get(this: Intl.DateTimeFormat) {
      const real =
        getFormat === undefined ? undefined : (Reflect.apply(getFormat, this, []) as (date: unknown) => string)
      return (date?: unknown) => real?.(date === undefined ? ambient.now() : date)
    },
    configurable: false,
  })
  pin(format, 'formatToParts', function (this: Intl.DateTimeFormat, date?: Date | number) {
    return Reflect.apply(toParts, this, [date === undefined ? ambient.now() : date])
  })
}

const functionKinds = [
  () => {},
  async () => {},
  function* () {
    yield
  },
  async function* () {
    yield
  },
]

/** Code from strings is gone: the four constructors behind every function literal throw. */
function poisonFunctionConstructors(): void {
  const refuse = () => {
    throw new TypeError('code from strings is not available to plugins')
  }
  const Poison = () => {
    refuse()
  }
  pin(Poison, 'prototype', Function.prototype)
  for (const sample of functionKinds) pin(Object.getPrototypeOf(sample), 'constructor', Poison)
  pin(globalThis, 'Function', Poison)
}

/** Everything reachable from the global and from syntax, once. */
function freezeRealm(): void {
  const seen = new Set<object>()
  const queue: object[] = [globalThis]
  const add = (value: unknown) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return
    seen.add(value)
    queue.push(value)
  }
  const asyncIterator = Object.getPrototypeOf(Object.getPrototypeOf((async function* () {})()))
  for (const root of [
    ...functionKinds.map((sample) => Object.getPrototypeOf(sample)),
    Object.getPrototypeOf((function* () {})()),
    asyncIterator,
    Object.getPrototypeOf(asyncIterator),
    Object.getPrototypeOf([][Symbol.iterator]()),
    Object.getPrototypeOf(new Map()[Symbol.iterator]()),
    Object.getPrototypeOf(new Set()[Symbol.iterator]()),
    Object.getPrototypeOf(''[Symbol.iterator]()),
    Object.getPrototypeOf('a'.matchAll(/a/g)),
    Object.getPrototypeOf([].values().map(() => 0)),
    Object.getPrototypeOf(Iterator.from({ next: () => ({ done: true, value: 0 }) })),
    Object.getPrototypeOf(new Intl.Segmenter().segment('a')),
    Object.getPrototypeOf(new Intl.Segmenter().segment('a')[Symbol.iterator]()),
  ]) {
    add(root)
  }
  for (let index = 0; index < queue.length; index += 1) {
    const target = queue[index]
    if (target === undefined) break
    add(Object.getPrototypeOf(target))
    for (const key of Reflect.ownKeys(target)) {
      const descriptor = Object.getOwnPropertyDescriptor(target, key)
      add(descriptor?.value)
      add(descriptor?.get)
      add(descriptor?.set)
    }
  }
  seen.delete(globalThis)
  for (const target of seen) {
    if (isPrototype(target)) allowOverrides(target)
  }
  for (const target of seen) Object.freeze(target)
  // The global itself stays open for the bundle's own top level, but what is on it now cannot be replaced.
  for (const key of Reflect.ownKeys(globalThis)) {
    const descriptor = Object.getOwnPropertyDescriptor(globalThis, key)
    if (descriptor?.configurable && 'value' in descriptor) pin(globalThis, key, descriptor.value)
  }
}

function isPrototype(target: object): boolean {
  const owner = Object.getOwnPropertyDescriptor(target, 'constructor')?.value
  return typeof owner === 'function' && Object.getOwnPropertyDescriptor(owner, 'prototype')?.value === target
}

const overridable = [
  'constructor',
  'toString',
  'toLocaleString',
  'valueOf',
  'name',
  'message',
  'toJSON',
  'hasOwnProperty',
]

/**
 * A frozen data property on a prototype makes `instance.name = …` throw. Accessors that define the property on the instance
 * keep ordinary code working.
 */
function allowOverrides(prototype: object): void {
  for (const key of overridable) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, key)
    if (descriptor === undefined || !descriptor.configurable || !('value' in descriptor)) continue
    const { value } = descriptor
    const accessors = {
      get: () => value,
      set(this: object, replacement: unknown) {
        if (this === prototype) throw new TypeError(`built-in property ${key} is frozen`)
        Object.defineProperty(this, key, { value: replacement, writable: true, enumerable: true, configurable: true })
      },
    }
    Object.freeze(accessors.get)
    Object.freeze(accessors.set)
    Object.defineProperty(prototype, key, { ...accessors, enumerable: false, configurable: false })
  }
}
