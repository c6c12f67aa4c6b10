/**
 * Reads JSON that an untrusted process wrote. Depth is scanned before `JSON.parse`, because parsing a deep text is what
 * hurts; keys that could reach a prototype are refused wherever they stand.
 */
export class UntrustedJsonError extends Error {}

const reservedKeys = ['"__proto__"', '"constructor"', '"prototype"']
/** An escape could spell a reserved key without containing it. */
const escapedKey = /"(?:[^"\\]|\\.)*\\u(?:[^"\\]|\\.)*"\s*:/

/** @throws UntrustedJsonError when the text is too deep, is not JSON, or has a reserved key. */
export function parseUntrustedJson(text: string, maxDepth: number): unknown {
  checkDepth(text, maxDepth)
  const isSuspicious = reservedKeys.some((key) => text.includes(key)) || (text.includes('\\u') && escapedKey.test(text))
  try {
    return isSuspicious ? JSON.parse(text, refuseReserved) : JSON.parse(text)
  } catch (thrown) {
    if (thrown instanceof UntrustedJsonError) throw thrown
    throw new UntrustedJsonError('not a JSON text')
  }
}

function refuseReserved(key: string, value: unknown): unknown {
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
    throw new UntrustedJsonError(`the reserved key ${JSON.stringify(key)}`)
  }
  return value
}

const quote = 34
const backslash = 92

function checkDepth(text: string, maxDepth: number): void {
  // A text shorter than twice the depth cannot be deeper, and most texts have far fewer brackets than that: count first.
  let depth = 0
  let isInString = false
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (isInString) {
      if (code === backslash) index += 1
      else if (code === quote) isInString = false
    } else if (code === quote) isInString = true
    else if (code === 123 || code === 91) {
      depth += 1
      if (depth > maxDepth) throw new UntrustedJsonError(`nested deeper than ${maxDepth}`)
    } else if (code === 125 || code === 93) depth -= 1
  }
}
