/** Reads the streams of JSON values that an engine sends: one a line. */
import type { Readable } from 'node:stream'

const longestLine = 1024 * 1024

/** Lines that are no JSON, or too long, are left out: the next one is worth reading all the same. */
export async function* readJsonLines<T>(stream: Readable): AsyncGenerator<T> {
  let rest = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream) {
    rest += String(chunk)
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > longestLine) rest = ''
    for (const line of lines) {
      const value = parse<T>(line)
      if (value !== undefined) yield value
    }
  }
  const value = parse<T>(rest)
  if (value !== undefined) yield value
}

function parse<T>(line: string): T | undefined {
  if (line.trim() === '') return undefined
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as T) : undefined
  } catch {
    return undefined
  }
}
