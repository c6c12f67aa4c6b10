/** What grows: in the heap, beside it, and in one single call. */
import { type HostileGuest, outgrown } from './guest.ts'

const growing: readonly [string, string][] = [
  ['arrays', 'const a = []; for (;;) a.push(new Array(1_000).fill(1))'],
  ['arrays of fractions', 'const a = []; for (;;) a.push(new Array(1_000).fill(1.5))'],
  ['objects', 'const a = []; for (let i = 0; ; i++) a.push({ i, more: { i } })'],
  ['a dictionary', `const o = {}; for (let i = 0; ; i++) o['key' + i] = i`],
  ['a Map', 'const m = new Map(); for (let i = 0; ; i++) m.set(i, i)'],
  ['a Map of texts', `const m = new Map(); for (let i = 0; ; i++) m.set('key' + i, i)`],
  ['a Set', 'const s = new Set(); for (let i = 0; ; i++) s.add(i)'],
  ['a WeakMap', 'const m = new WeakMap(), kept = []; for (;;) { const key = {}; kept.push(key); m.set(key, {}) }'],
  ['registered symbols', `const a = []; for (let i = 0; ; i++) a.push(Symbol.for('s' + i))`],
  ['symbols', 'const a = []; for (;;) a.push(Symbol())'],
  ['texts', `const a = []; for (let i = 0; ; i++) a.push('x'.repeat(1_000) + i)`],
  [
    'one text',
    `let s = 'x'.repeat(1_000), a = []; for (;;) { s += s.slice(0, 1e6); a.push(s.charCodeAt(s.length >> 1)) }`,
  ],
  ['closures', 'const a = []; for (let i = 0; ; i++) a.push(() => i)'],
  ['classes', 'const a = []; for (;;) a.push(class { m() {} })'],
  ['patterns', `const a = []; for (let i = 0; ; i++) a.push(new RegExp('a' + i))`],
  ['promises', 'const a = []; for (;;) a.push(new Promise(() => {}))'],
  ['promises that wait for each other', 'let p = new Promise(() => {}); for (;;) p = p.then(() => p)'],
  ['errors', `const a = []; for (;;) a.push(new Error('x'))`],
  ['dates', 'const a = []; for (;;) a.push(new Date(0))'],
  ['proxies', 'const a = []; for (;;) a.push(new Proxy({}, {}))'],
  ['generators', 'const a = []; for (;;) { const g = (function* () { yield 1 })(); g.next(); a.push(g) }'],
  ['bigints', 'const a = []; for (let i = 1n; ; i++) a.push(i << 10_000n)'],
  ['buffers', 'const a = []; for (;;) try { a.push(new ArrayBuffer(1e6)) } catch {}'],
  ['typed arrays', 'const a = []; for (;;) try { a.push(new Float64Array(1e5).fill(1)) } catch {}'],
  ['formats', `const a = []; for (;;) a.push(new Intl.DateTimeFormat('de'))`],
  ['segmenters', 'const a = []; for (;;) a.push(new Intl.Segmenter())'],
]

const atOnce: readonly [string, string][] = [
  ['a filled array', 'return new Array(2 ** 27).fill(1).length'],
  ['a spread text', `return [...'x'.repeat(2 ** 27)].length`],
  ['a split text', `return 'x'.repeat(2 ** 27).split('').length`],
  ['a bomb of JSON', `let a = 'x'.repeat(1_000); for (let i = 0; i < 28; i++) a = [a, a]; return a`],
  ['an encoded text', `return encodeURIComponent('\\u4e2d'.repeat(2 ** 26)).length`],
  ['nested arrays made flat', `let a = [1]; for (let i = 0; i < 30; i++) a = [a, a]; return a.flat(Infinity).length`],
]

/** Ends, or is refused by the engine as too long: either way it answers nothing of that size. */
export const memory: readonly HostileGuest[] = [
  ...growing.map(([name, body]) => ({ name: `grows in ${name}`, body, expected: outgrown, timeoutMs: 800 })),
  ...atOnce.map(([name, body]) => ({ name: `grows at once by ${name}`, body, expected: outgrown, timeoutMs: 800 })),
]
