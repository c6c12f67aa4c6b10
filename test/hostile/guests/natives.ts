/** Loops, and built-ins that no timeout reaches while they run: only the end of the process ends them. */
import { type HostileGuest, outgrown, timeout } from './guest.ts'

const endless: readonly [string, string][] = [
  ['a loop', 'for (;;);'],
  ['a loop after an await', 'await null; for (;;);'],
  ['a generator', 'for (const _ of (function* () { for (;;) yield 1 })());'],
  ['an iterator helper', '[...Iterator.from({ next: () => ({ done: false }) }).filter(() => false)]'],
  ['a comparison', '[3, 1, 2].sort(() => { for (;;); })'],
  ['a pattern', `/^(a+)+$/.test('a'.repeat(40) + 'b')`],
  ['a replacement', `'a'.replace(/a/, () => { for (;;); })`],
  ['a reviver', `JSON.parse('[1]', () => { for (;;); })`],
  ['a conversion', '+{ valueOf() { for (;;); } }'],
  ['a proxy', 'Object.keys(new Proxy({}, { ownKeys() { for (;;); } }))'],
  ['a getter of a loop of getters', 'const a = { get b() { return this.b2 }, get b2() { for (;;); } }; a.b'],
  ['Array.from', 'Array.from({ length: 2 ** 32 - 1 })'],
]

/** Each is one call of a built-in that runs for minutes. */
const unstoppable: readonly [string, string][] = [
  ['includes', 'Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)'],
  ['indexOf', 'Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)'],
  ['lastIndexOf', 'Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)'],
  ['reverse', 'Array.prototype.reverse.call({ length: 2 ** 53 - 1 })'],
  ['concat', 'const a = []; a[2 ** 32 - 2] = 1; Array.prototype.concat.call([], new Proxy(a, {}))'],
  ['fill', 'Array.prototype.fill.call({ length: 2 ** 53 - 1 }, 1)'],
  ['slice', 'const a = []; a[2 ** 32 - 2] = 1; Array.prototype.slice.call(new Proxy(a, {}), 0)'],
  [
    'sort of a sparse array',
    'const a = []; a.length = 2 ** 32 - 1; Array.prototype.sort.call({ length: 2 ** 53 - 1, 1: 1 })',
  ],
  ['copyWithin', 'Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 0, 1)'],
  ['a sparse indexOf', 'const a = []; a[2 ** 32 - 2] = 1; a.indexOf(2)'],
  ['findLast', 'Array.prototype.findLast.call({ length: 2 ** 53 - 1 }, () => false)'],
  ['lastIndexOf of a text', `const s = 'a'.repeat(2 ** 25); s.lastIndexOf('a'.repeat(2 ** 14) + 'b')`],
  ['the digits of a bigint', '(3n ** 3_000_000n).toString()'],
  ['a product of bigints', 'let a = 3n ** 2_000_000n; for (;;) a *= a'],
  ['a copy of an endless list', 'Array.prototype.with.call({ length: 2 ** 32 - 1 }, 0, 1)'],
]

export const natives: readonly HostileGuest[] = [
  ...endless.map(([name, body]) => ({ name: `never comes back from ${name}`, body, expected: timeout })),
  ...unstoppable.map(([name, body]) => ({ name: `cannot be stopped in ${name}`, body, expected: outgrown })),
]
