/**
 * Hides known values in texts, in one pass whose length does not grow with the number of values: a window of eight characters
 * slides over the text, its hash is looked up, and only where some value begins like that the whole of it is compared. Pure.
 */

export interface Redactor {
  redact(text: string): string
  /** See `Secrets.redactData`. */
  redactData<T>(data: T): T
}

/** What is shorter cannot be told from ordinary text. */
export const shortestValue = 8
const mask = '***'
const base = 0x01000193
let weightOfFirst = 1
for (let index = 1; index < shortestValue; index += 1) weightOfFirst = Math.imul(weightOfFirst, base)

/** @param values of at least `shortestValue` characters. */
export function createRedactor(values: readonly string[]): Redactor {
  if (values.length === 0) return { redact: (text) => text, redactData: (data) => data }
  const byHash = new Map<number, string[]>()
  /** Says no to nearly all windows of ordinary text, for less than the map would cost. */
  const isKnown = new Uint8Array(0x10000)
  for (const form of new Set(values.flatMap(formsOf))) {
    const hash = hashOfFirst(form)
    byHash.set(hash, [...(byHash.get(hash) ?? []), form])
    isKnown[hash >>> 16] = 1
  }
  for (const forms of byHash.values()) forms.sort((a, b) => b.length - a.length)

  /** Where the longest form that begins at `at` ends; `at` when none does. */
  const endOf = (text: string, at: number, hash: number): number => {
    if (isKnown[hash >>> 16] === 0) return at
    const found = byHash.get(hash)?.find((form) => text.startsWith(form, at))
    return at + (found?.length ?? 0)
  }

  function redact(text: string): string {
    const last = text.length - shortestValue
    if (last < 0) return text
    const found: { from: number; to: number }[] = []
    let hash = hashOfFirst(text)
    for (let at = 0; ; at += 1) {
      const end = endOf(text, at, hash)
      const before = found.at(-1)
      // Values that overlap are hidden as one, so that no piece of the second is left over.
      if (before !== undefined && at <= before.to) before.to = Math.max(before.to, end)
      else if (end > at) found.push({ from: at, to: end })
      if (at === last) break
      hash = Math.imul(hash - Math.imul(text.charCodeAt(at), weightOfFirst), base) + text.charCodeAt(at + shortestValue)
      hash |= 0
    }
    let shown = 0
    const parts = found.map(({ from, to }) => {
      const part = text.slice(shown, from) + mask
      shown = to
      return part
    })
    return found.length === 0 ? text : parts.join('') + text.slice(shown)
  }

  function redactData<T>(data: T): T {
    return hide(data) as T
  }

  function hide(data: unknown): unknown {
    if (typeof data === 'string') return redact(data)
    if (typeof data !== 'object' || data === null) return data
    if (Array.isArray(data)) {
      const items = data.map(hide)
      return items.every((item, index) => item === data[index]) ? data : items
    }
    const before = Object.entries(data)
    const after = before.map(([key, value]) => [redact(key), hide(value)] as const)
    const isSame = after.every(([key, value], index) => key === before[index]?.[0] && value === before[index]?.[1])
    return isSame ? data : Object.fromEntries(after)
  }

  return { redact, redactData }
}

function hashOfFirst(text: string): number {
  let hash = 0
  for (let index = 0; index < shortestValue; index += 1) hash = (Math.imul(hash, base) + text.charCodeAt(index)) | 0
  return hash
}

/** As it is, and as it looks inside JSON, a URL, a form, or base64 with anything before and after it (`user:password`). */
export function formsOf(value: string): string[] {
  const bytes = Buffer.from(value)
  const inUrls = [encodeURIComponent(value), new URLSearchParams([['', value]]).toString().slice(1)]
  const whole = bytes.toString('base64')
  const base64 = [whole, whole.replaceAll('=', ''), ...[0, 1, 2].map((before) => base64Within(bytes, before))]
  return [
    value,
    JSON.stringify(value).slice(1, -1),
    ...inUrls,
    ...inUrls.map((text) => text.replace(/%[0-9A-F]{2}/g, (escaped) => escaped.toLowerCase())),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ]
}

/** The characters of base64 that depend on these bytes alone when `before` bytes (modulo 3) stand in front of them. */
function base64Within(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes])
    .toString('base64')
    .replaceAll('=', '')
  const isLastShared = (before + bytes.length) % 3 !== 0
  return text.slice(before === 0 ? 0 : before + 1, isLastShared ? -1 : undefined)
}
