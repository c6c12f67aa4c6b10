/** Everything a plugin can reach without being given it: found once, made to bear assignment on instances, and frozen. */
import { defineProperty, freeze, GuestTypeError } from './primordials.ts'

/** One of each kind of function there is syntax for. */
export const functionKinds = [
  () => {},
  async () => {},
  function* () {
    yield
  },
  async function* () {
    yield
  },
]

/** What has no name on the global and is reached from a value instead. */
function unnamed(): unknown[] {
  const { getPrototypeOf, getOwnPropertyDescriptor } = Object
  const asyncIterator = getPrototypeOf(getPrototypeOf((async function* () {})()))
  const segments = new Intl.Segmenter().segment('a')
  // An own property of every error, with the same two functions behind it.
  const stack = getOwnPropertyDescriptor(new Error('one of them'), 'stack')
  return [
    ...functionKinds.map((sample) => getPrototypeOf(sample)),
    getPrototypeOf((function* () {})()),
    asyncIterator,
    getPrototypeOf(asyncIterator),
    getPrototypeOf([][Symbol.iterator]()),
    getPrototypeOf(new Map()[Symbol.iterator]()),
    getPrototypeOf(new Set()[Symbol.iterator]()),
    getPrototypeOf(''[Symbol.iterator]()),
    getPrototypeOf('a'.matchAll(/a/g)),
    getPrototypeOf([].values().map(() => 0)),
    getPrototypeOf(Iterator.from({ next: () => ({ done: true, value: 0 }) })),
    getPrototypeOf(segments),
    getPrototypeOf(segments[Symbol.iterator]()),
    stack?.get,
    stack?.set,
  ]
}

export function reachable(): Set<object> {
  const seen = new Set<object>()
  const queue: object[] = []
  const add = (value: unknown) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return
    seen.add(value)
    queue.push(value)
  }
  add(globalThis)
  for (const root of unnamed()) add(root)
  for (let index = 0; index < queue.length; index += 1) {
    const target = queue[index] as object
    add(Object.getPrototypeOf(target))
    for (const key of Reflect.ownKeys(target)) {
      const descriptor = Object.getOwnPropertyDescriptor(target, key)
      add(descriptor?.value)
      add(descriptor?.get)
      add(descriptor?.set)
    }
  }
  seen.delete(globalThis)
  return seen
}

function isPrototype(target: object): boolean {
  const owner = Object.getOwnPropertyDescriptor(target, 'constructor')?.value
  return typeof owner === 'function' && Object.getOwnPropertyDescriptor(owner, 'prototype')?.value === target
}

/** Of these every property may be set on what inherits from them: they are what people derive from by assignment. */
const derivable = new Set<unknown>(
  [Object, Function, Array, Promise, Map, Set, Iterator].map(({ prototype }) => prototype as unknown),
)
/** Of all others only these: an accessor for each of a thousand methods would be half a megabyte in every isolate. */
const overridable = new Set<unknown>([
  'constructor',
  'toString',
  'toLocaleString',
  'valueOf',
  'toJSON',
  'name',
  'message',
])

/**
 * A frozen data property on a prototype makes `instance.name = …` throw. Accessors that define the property on the instance
 * keep ordinary code working.
 */
export function allowOverrides(realm: Set<object>): void {
  for (const prototype of realm) {
    const isWhole = derivable.has(prototype) || prototype instanceof Error || prototype === Error.prototype
    if (!isWhole && !isPrototype(prototype)) continue
    for (const key of Reflect.ownKeys(prototype)) {
      if (isWhole || overridable.has(key)) allowOverride(prototype, key)
    }
  }
}

function allowOverride(prototype: object, key: PropertyKey): void {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, key)
  if (descriptor === undefined || !descriptor.configurable || !descriptor.writable) return
  const { value } = descriptor
  const accessors = {
    get: () => value,
    set(this: object, replacement: unknown) {
      if (this === prototype) throw new GuestTypeError('built-in properties are frozen')
      // Of a literal `__proto__` is the prototype: nothing of the descriptor is looked up anywhere else.
      const own = { __proto__: null, value: replacement, writable: true, enumerable: true, configurable: true }
      defineProperty(this, key, own as PropertyDescriptor)
    },
  }
  freeze(accessors.get)
  freeze(accessors.set)
  defineProperty(prototype, key, { ...accessors, enumerable: false, configurable: false })
}

export function freezeAll(realm: Set<object>): void {
  for (const target of realm) freeze(target)
}
