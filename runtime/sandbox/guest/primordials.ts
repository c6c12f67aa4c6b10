/**
 * What the bridge uses of the language, taken before any guest code runs. After `harden` the originals are frozen anyway; this
 * is what holds should one have been missed.
 */
import { stands } from './defences.ts'

const isCaptured = stands('captured-primordials')
const isUnobserved = stands('unobserved-promises')

type Parse = (json: string) => unknown
type Stringify = (value: unknown) => string
export const parse: Parse = isCaptured ? JSON.parse : (json) => JSON.parse(json)
export const stringify: Stringify = isCaptured ? JSON.stringify : (value) => JSON.stringify(value)
export const { apply, construct, ownKeys } = Reflect
export const { freeze, defineProperty, create, hasOwn } = Object
export const isArray = Array.isArray
export const text = String
export const GuestPromise = Promise
export const GuestError = Error
export const GuestTypeError = TypeError
/** Compiles code from a string; gone for everybody else once `harden` has run. */
export const CompileFunction = Function

export function pin(target: object, key: PropertyKey, value: unknown): void {
  defineProperty(target, key, { value, writable: false, enumerable: false, configurable: false })
}

type Settled = (result: unknown) => void

/** By `await`, which looks up neither `then` nor a species on a promise, and hands nobody a function of ours. */
async function awaitSettled(value: unknown, done: Settled, failed: Settled): Promise<void> {
  let result: unknown
  try {
    result = await value
  } catch (thrown) {
    return failed(thrown)
  }
  done(result)
}

export const whenSettled: (value: unknown, done: Settled, failed: Settled) => unknown = isUnobserved
  ? awaitSettled
  : (value, done, failed) => (value as Promise<unknown>).then(done, failed)

const slice = String.prototype.slice
const maxTextLength = 500
/** A text that was joined of parts is copied whole when it is cut: above this, that is not worth a look at it. */
const maxCutLength = 4 * 1024 * 1024
const isBounded = stands('bounded-words')
export function cut(value: string, length = maxTextLength): string {
  if (!isBounded || value.length <= length) return value
  return value.length > maxCutLength
    ? `a text of ${value.length} characters`
    : (apply(slice, value, [0, length]) as string)
}

const { get, set, has, delete: remove } = Map.prototype
/** A map whose methods are looked up nowhere. */
export function createTable<K, V>() {
  const map = new Map<K, V>()
  return freeze({
    get: (key: K) => apply(get, map, [key]) as V | undefined,
    set: (key: K, value: V): void => {
      apply(set, map, [key, value])
    },
    has: (key: K) => apply(has, map, [key]) as boolean,
    delete: (key: K): void => {
      apply(remove, map, [key])
    },
  })
}
