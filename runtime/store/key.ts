/** Tuple keys: what they may be and how they sort. The same for every implementation of the store. */
import { OrchestryError } from '../errors.ts'
import type { Key, KeyPart } from './store.ts'

const maxParts = 16
const maxBytes = 1024

/** @throws ORC_STORE_FAILED for what cannot be a key: it would sort differently, or come back changed. */
export function checkKey(key: Key): void {
  if (key.length === 0 || key.length > maxParts) refuse(key, `it must have 1 to ${maxParts} parts`)
  checkParts(key)
}

/** As `checkKey`, but may be empty: the prefix of everything. */
export function checkParts(key: Key): void {
  let bytes = 0
  for (const part of key) {
    if (typeof part === 'number') {
      if (!Number.isFinite(part)) refuse(key, 'its numbers must be finite')
      bytes += 10
    } else if (typeof part === 'string') {
      if (hasControls(part) || !part.isWellFormed()) refuse(key, 'its texts must be without control characters')
      bytes += Buffer.byteLength(part) + 2
    } else refuse(key, 'its parts must be texts or numbers')
  }
  if (bytes > maxBytes) refuse(key, `it must be shorter than ${maxBytes} bytes`)
}

/** Characters that the encoding of keys uses itself. */
function hasControls(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) < 0x20) return true
  }
  return false
}

function refuse(key: Key, wanted: string): never {
  const shown = String(JSON.stringify(key)).slice(0, 200)
  throw new OrchestryError('ORC_STORE_FAILED', `${shown} is not a key: ${wanted}. Nothing was written.`)
}

/** A copy without negative zeros, which would have a place of their own. */
export function normal(key: Key): KeyPart[] {
  return key.map((part) => (part === 0 ? 0 : part))
}

/** Part by part: numbers before texts, texts by code point, a prefix before what it begins. */
export function compareKeys(a: Key, b: Key): number {
  const shared = Math.min(a.length, b.length)
  for (let index = 0; index < shared; index += 1) {
    const order = compareParts(a[index] ?? 0, b[index] ?? 0)
    if (order !== 0) return order
  }
  return a.length - b.length
}

function compareParts(a: KeyPart, b: KeyPart): number {
  if (a === b) return 0
  if (typeof a === 'number') return typeof b === 'number' ? a - b : -1
  if (typeof b === 'number') return 1
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

export function startsWith(key: Key, prefix: Key): boolean {
  return prefix.length <= key.length && prefix.every((part, index) => part === key[index])
}
