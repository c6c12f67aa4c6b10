/** Goes through the words of a .proto text. Pure. */

/** What is wrong with the text, and in which line. */
export class ProtoError extends Error {}

export interface ProtoWords {
  readonly isAtEnd: () => boolean
  readonly line: () => number
  /** The next word, or the one behind so many others; '' at the end. */
  peek(behind?: number): string
  /** Takes the next word, which must be this one where one is given. */
  take(wanted?: string): string
  takeIf(wanted: string): boolean
  name(): string
  /** `a.b.C`, or `.a.b.C` from the outermost scope. */
  path(): string
  integer(): number
  /** What describes a declaration without changing its meaning on the wire. */
  skip(until: string): void
  fail(why: string, line?: number): never
}

const most = { characters: 32_768, words: 16_384, nameLength: 128 }
const word =
  /(\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|[A-Za-z_][A-Za-z0-9_]*|\d[A-Za-z0-9_.]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}()[\];=,.<>:+-]/y

export const isName = (text: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text)

export function createProtoWords(text: string): ProtoWords {
  const words = wordsOf(text)
  let at = 0
  const peek = (behind = 0) => words[at + behind]?.text ?? ''
  const line = () => (words[at] ?? words.at(-1))?.line ?? 1
  const fail = (why: string, where = line()): never => {
    throw new ProtoError(`line ${where}: ${why}`)
  }
  const shown = () => (peek() === '' ? 'the end of the text' : `"${peek().slice(0, 40)}"`)
  function take(wanted?: string): string {
    const next = peek()
    if (next === '' || (wanted !== undefined && next !== wanted))
      fail(`${wanted ?? 'more'} is missing before ${shown()}`)
    at += 1
    return next
  }
  const takeIf = (wanted: string) => peek() === wanted && take() === wanted
  function name(): string {
    // It becomes a key of objects that a guest gets.
    if (!isName(peek()) || peek().length > most.nameLength || peek() === '__proto__') fail(`${shown()} is no name`)
    return take()
  }
  return {
    isAtEnd: () => at >= words.length,
    line,
    peek,
    take,
    takeIf,
    name,
    fail,
    path() {
      let text = takeIf('.') ? '.' : ''
      text += name()
      while (takeIf('.')) text += `.${name()}`
      return text
    },
    integer() {
      const sign = takeIf('-') ? -1 : 1
      const value = /^(0[xX][0-9a-fA-F]+|\d+)$/.test(peek()) ? Number(peek()) * sign : Number.NaN
      if (Number.isNaN(value) || value < -(2 ** 31) || value > 2 ** 31 - 1) fail(`${shown()} is no number of 32 bits`)
      take()
      return value
    },
    skip(until) {
      const closing: string[] = []
      while (closing.length > 0 || peek() !== until) {
        const text = take()
        if (text === '{' || text === '[') closing.push(text === '{' ? '}' : ']')
        else if (text === closing.at(-1)) closing.pop()
      }
      take(until)
    },
  }
}

function wordsOf(text: string): { text: string; line: number }[] {
  if (text.length > most.characters) throw new ProtoError(`the text is longer than ${most.characters} characters`)
  const words: { text: string; line: number }[] = []
  let line = 1
  for (let at = 0; at < text.length; at = word.lastIndex) {
    word.lastIndex = at
    const [found, blank] = word.exec(text) ?? []
    if (found === undefined) throw new ProtoError(`line ${line}: here stands nothing that can be read`)
    if (blank === undefined) words.push({ text: found, line })
    line += found.split('\n').length - 1
    if (words.length > most.words) throw new ProtoError(`there are more than ${most.words} words`)
  }
  return words
}
