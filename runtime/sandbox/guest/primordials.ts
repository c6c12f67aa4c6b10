/**
 * What the bridge uses of the language, taken before any guest code runs. After `harden` the originals are frozen anyway; this
 * is what holds should one have been missed.
 */
export const { parse, stringify } = JSON
export const { apply, ownKeys } = Reflect
export const { freeze, defineProperty, create, hasOwn } = Object
export const isArray = Array.isArray
export const text = String
export const GuestPromise = Promise
export const GuestError = Error
/** Compiles code from a string; gone for everybody else once `harden` has run. */
export const CompileFunction = Function

const resolve = (value: unknown): Promise<unknown> => Promise.resolve(value)
const { then } = Promise.prototype
export function whenSettled(value: unknown, done: (result: unknown) => void, failed: (thrown: unknown) => void): void {
  apply(then, resolve(value), [done, failed])
}

const slice = String.prototype.slice
const maxTextLength = 500
export const cut = (value: string, length = maxTextLength): string => apply(slice, value, [0, length]) as string

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
