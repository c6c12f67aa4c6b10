/** No ambient clock: built-in time is the host's, or an error that names the capability. */
import { apply, construct, defineProperty, pin } from './primordials.ts'

export function replaceTime(now: () => number): void {
  const Real = Date
  const toText = Real.prototype.toString
  const Guest = function (this: unknown, ...parts: unknown[]) {
    if (new.target === undefined) return apply(toText, new Real(now()), [])
    return construct(Real, parts.length === 0 ? [now()] : parts, new.target)
  } as unknown as DateConstructor
  pin(Guest, 'prototype', Real.prototype)
  pin(Guest, 'now', () => now())
  pin(Guest, 'parse', Real.parse)
  pin(Guest, 'UTC', Real.UTC)
  pin(Guest, 'name', 'Date')
  pin(Guest, 'length', Real.length)
  pin(Real.prototype, 'constructor', Guest)
  pin(globalThis, 'Date', Guest)

  const format = Intl.DateTimeFormat.prototype
  const getFormat = Object.getOwnPropertyDescriptor(format, 'format')?.get as () => unknown
  const toParts = format.formatToParts
  defineProperty(format, 'format', {
    get(this: Intl.DateTimeFormat) {
      const real = apply(getFormat, this, []) as (date: unknown) => string
      return (date?: unknown) => real(date === undefined ? now() : date)
    },
    configurable: false,
  })
  pin(format, 'formatToParts', function (this: Intl.DateTimeFormat, date?: Date | number) {
    return apply(toParts, this, [date === undefined ? now() : date])
  })
}
