/**
 * Reads JSON that an untrusted process wrote. Depth is scanned before `JSON.parse`, because parsing a deep text is what
 * hurts; keys that could reach a prototype are refused wherever they stand.
 */
export class UntrustedJsonError extends Error {}

const reservedKeys: ReadonlySet<unknown> = new Set(['__proto__', 'constructor', 'prototype'])
const reservedLengths: ReadonlySet<number> = new Set([9, 11])

/** @throws UntrustedJsonError when the text is too deep, is not JSON, or has a reserved key. */
export function parseUntrustedJson(text: string, maxDepth: number): unknown {
  scan(text, maxDepth)
  try {
    return JSON.parse(text)
  } catch {
    throw new UntrustedJsonError('not a JSON text')
  }
}

const quote = 34
const backslash = 92
const colon = 58

/** One pass whatever the text is made of: a pattern with something to try again would be the guest's to keep busy. */
function scan(text: string, maxDepth: number): void {
  let depth = 0
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === quote) {
      const start = index
      let isEscaped = false
      for (index += 1; index < text.length; index += 1) {
        const inner = text.charCodeAt(index)
        if (inner === quote) break
        if (inner !== backslash) continue
        isEscaped = true
        index += 1
      }
      // An escape could spell a reserved key without containing it.
      if (isEscaped || reservedLengths.has(index - start - 1)) refuseReserved(text, start, index + 1)
    } else if (code === 123 || code === 91) {
      depth += 1
      if (depth > maxDepth) throw new UntrustedJsonError(`nested deeper than ${maxDepth}`)
    } else if (code === 125 || code === 93) depth -= 1
  }
}

function refuseReserved(text: string, start: number, end: number): void {
  let after = end
  while (text.charCodeAt(after) <= 32) after += 1
  if (text.charCodeAt(after) !== colon) return
  const key = readText(text.slice(start, end))
  if (reservedKeys.has(key)) throw new UntrustedJsonError(`the reserved key ${JSON.stringify(key)}`)
}

function readText(quoted: string): unknown {
  try {
    return JSON.parse(quoted)
  } catch {
    return undefined // The text as a whole is no JSON then, and is refused for that.
  }
}
