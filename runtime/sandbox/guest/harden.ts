/**
 * Runs inside the isolate before any plugin code: takes away what a guest must not have, and freezes what stays, so that
 * nothing a plugin does to a built-in is ever seen by the bridge. Order matters: remove, pin, poison, freeze.
 */
import { isReversed, type RealmDefence, realmDefences, stands } from './defences.ts'
import { allowOverrides, freezeAll, functionKinds, reachable } from './freeze.ts'
import { replaceTime } from './host-time.ts'
import { construct, GuestTypeError, pin } from './primordials.ts'

/** What built-in time and chance read instead of the real ones. */
export interface Ambient {
  now(): number
  random(): number
}

export function harden(ambient: Ambient): void {
  let realm: Set<object> | undefined
  const found = () => (realm ??= reachable())
  const steps: Record<RealmDefence, () => void> = {
    'removed-globals': removeGlobals,
    'fixed-buffers': fixBuffers,
    'pinned-errors': pinErrors,
    'regexp-statics': removeRegExpStatics,
    'host-time': () => replaceTime(() => ambient.now()),
    'host-chance': () => pin(Math, 'random', () => ambient.random()),
    'poisoned-constructors': poisonConstructors,
    'overridable-properties': () => allowOverrides(found()),
    'frozen-realm': () => freezeAll(found()),
    'pinned-globals': pinGlobals,
  }
  const rows = isReversed() ? [...realmDefences].reverse() : realmDefences
  for (const { name } of rows) if (stands(name)) steps[name]()
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

function removeGlobals(): void {
  for (const name of removed) Reflect.deleteProperty(globalThis, name)
}

/** Resizable buffers are not counted by the memory limit. */
function fixBuffers(): void {
  const Real = ArrayBuffer
  const Fixed = function (this: unknown, length: unknown) {
    if (new.target === undefined) throw new GuestTypeError("Constructor ArrayBuffer requires 'new'")
    return construct(Real, [length], new.target)
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
  pin(Error, 'captureStackTrace', () => undefined)
}

/** `RegExp.$1` and its kind. */
function removeRegExpStatics(): void {
  for (const key of Reflect.ownKeys(RegExp)) {
    if (typeof key === 'string' && !['prototype', 'length', 'name', 'escape'].includes(key)) {
      Reflect.deleteProperty(RegExp, key)
    }
  }
}

/** Code from strings is gone: the four constructors behind every function literal throw. */
function poisonConstructors(): void {
  const Poison = () => {
    throw new GuestTypeError('code from strings is not available to plugins')
  }
  pin(Poison, 'prototype', Function.prototype)
  for (const sample of functionKinds) pin(Object.getPrototypeOf(sample), 'constructor', Poison)
  pin(globalThis, 'Function', Poison)
}

/** The global itself stays open for the bundle's own top level, but what is on it now cannot be replaced. */
function pinGlobals(): void {
  for (const key of Reflect.ownKeys(globalThis)) {
    const descriptor = Object.getOwnPropertyDescriptor(globalThis, key)
    if (descriptor?.configurable && 'value' in descriptor) pin(globalThis, key, descriptor.value)
  }
}
