/**
 * Reads the text of one proto3 file: messages, enums and services, nothing from elsewhere. Our own reader, because the
 * libraries for it make functions out of the names they find, and these names are a stranger's. Pure.
 */

import { createProtoWords, isName } from './grpc-words.ts'

export type Scalar =
  | 'double'
  | 'float'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'sint32'
  | 'sint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed32'
  | 'sfixed64'
  | 'bool'
  | 'string'
  | 'bytes'

export interface MessageType {
  readonly kind: 'message'
  readonly name: string
  readonly fields: readonly Field[]
  readonly byNumber: ReadonlyMap<number, Field>
}
export interface EnumType {
  readonly kind: 'enum'
  readonly name: string
  readonly numbers: ReadonlyMap<string, number>
}
export type ValueType = Scalar | MessageType | EnumType

export interface Field {
  readonly name: string
  readonly number: number
  readonly type: ValueType
  readonly isRepeated: boolean
  /** Of a map: the type of its keys; `type` is that of its values. */
  readonly key?: Scalar
  /** Whether absent is something else than zero: `optional`, messages and members of a `oneof`. */
  readonly hasPresence: boolean
}

export interface Method {
  /** `package.Service/Method`. */
  readonly name: string
  readonly input: MessageType
  readonly output: MessageType
  readonly isStreaming: boolean
}

const scalars: ReadonlySet<string> = new Set<Scalar>([
  ...(['double', 'float', 'int32', 'int64', 'uint32', 'uint64', 'sint32', 'sint64', 'fixed32', 'fixed64'] as const),
  ...(['sfixed32', 'sfixed64', 'bool', 'string', 'bytes'] as const),
])
const mostFields = 1_000
const deepest = 8
const largestNumber = 2 ** 29 - 1

/** Unary and streaming methods by `package.Service/Method`. Throws ProtoError. */
export function parseProto(text: string): ReadonlyMap<string, Method> {
  const words = createProtoWords(text)
  const { peek, take, takeIf, name, path, skip, fail } = words
  const types = new Map<string, MessageType | EnumType>()
  const methods = new Map<string, Method>()
  /** Names may be used before they are declared, so what they mean is looked up at the end. */
  const links: (() => void)[] = []
  let scope: readonly string[] = []
  let depth = 0
  let fieldCount = 0

  const fullName = (own: string) => [...scope, own].join('.')
  const countField = () => {
    fieldCount += 1
    if (fieldCount > mostFields) fail(`there are more than ${mostFields} fields and values`)
  }
  function declare(type: MessageType | EnumType): void {
    if (types.has(type.name)) fail(`${type.name} is declared twice`)
    types.set(type.name, type)
  }
  /** Looks outwards from where the name stands. */
  function typeNamed(text: string): () => MessageType | EnumType {
    const [from, line] = [scope, words.line()]
    return () => {
      for (let outer = text.startsWith('.') ? 0 : from.length; outer >= 0; outer -= 1) {
        const found = types.get([...from.slice(0, outer), text.replace(/^\./, '')].join('.'))
        if (found !== undefined) return found
      }
      return fail(`${text} is not declared here, and nothing can be imported`, line)
    }
  }

  function field(fields: Field[], isInOneof: boolean): void {
    countField()
    const label = isInOneof ? undefined : ['repeated', 'optional'].find(takeIf)
    const isMap = !isInOneof && label === undefined && peek() === 'map' && peek(1) === '<'
    const key = isMap ? keyOfMap() : undefined
    const typeName = path()
    const typeOf = scalars.has(typeName) ? () => typeName as Scalar : typeNamed(typeName)
    if (isMap) take('>')
    const own = name()
    take('=')
    const number = words.integer()
    if (number < 1 || number > largestNumber) fail(`${own} has no number between 1 and ${largestNumber}`)
    if (takeIf('[')) skip(']')
    take(';')
    if (fields.some((other) => other.name === own || other.number === number))
      fail(`${own} has the name or number of another field`)
    const isRepeated = label === 'repeated' || isMap
    const made = { name: own, number, isRepeated, ...(key === undefined ? {} : { key }) }
    const index = fields.push({ ...made, type: 'bytes', hasPresence: false }) - 1
    links.push(() => {
      const type = typeOf()
      const isMessage = typeof type !== 'string' && type.kind === 'message'
      fields[index] = { ...made, type, hasPresence: !isRepeated && (isInOneof || label === 'optional' || isMessage) }
    })
  }
  function keyOfMap(): Scalar {
    take('map')
    take('<')
    const text = take()
    if (!scalars.has(text) || ['double', 'float', 'bytes'].includes(text)) fail('this cannot be the key of a map')
    take(',')
    return text as Scalar
  }

  function message(): void {
    take('message')
    const own = name()
    const fields: Field[] = []
    const byNumber = new Map<number, Field>()
    declare({ kind: 'message', name: fullName(own), fields, byNumber })
    depth += 1
    if (depth > deepest) fail(`messages are nested deeper than ${deepest}`)
    const outer = scope
    scope = [...scope, own]
    take('{')
    while (!takeIf('}')) {
      if (takeIf(';')) continue
      // Such a word may also be the name of a type; then a dot follows.
      const isDeclaration = isName(peek(1))
      if (isDeclaration && peek() === 'message') message()
      else if (isDeclaration && peek() === 'enum') enumeration()
      else if (isDeclaration && peek() === 'oneof') oneof(fields)
      else if (peek() === 'option' || peek() === 'reserved') skip(';')
      else if (['extensions', 'extend', 'group', 'required'].includes(peek())) fail(`"${peek()}" is not of proto3`)
      else field(fields, false)
    }
    // Behind the links of the fields, which put in their types.
    links.push(() => {
      for (const one of fields) byNumber.set(one.number, one)
    })
    scope = outer
    depth -= 1
  }
  function oneof(fields: Field[]): void {
    take('oneof')
    name()
    take('{')
    while (!takeIf('}')) {
      if (peek() === 'option') skip(';')
      else field(fields, true)
    }
  }
  function enumeration(): void {
    take('enum')
    const numbers = new Map<string, number>()
    declare({ kind: 'enum', name: fullName(name()), numbers })
    take('{')
    while (!takeIf('}')) {
      if (takeIf(';')) continue
      if (peek() === 'option' || peek() === 'reserved') {
        skip(';')
        continue
      }
      countField()
      const own = name()
      if (numbers.has(own)) fail(`${own} is declared twice`)
      take('=')
      numbers.set(own, words.integer())
      if (takeIf('[')) skip(']')
      take(';')
    }
  }

  function service(): void {
    take('service')
    const own = fullName(name())
    take('{')
    while (!takeIf('}')) {
      if (peek() === 'option') skip(';')
      else if (!takeIf(';')) method(own)
    }
  }
  function method(service: string): void {
    countField()
    take('rpc')
    const full = `${service}/${name()}`
    const input = side()
    take('returns')
    const output = side()
    if (takeIf('{')) skip('}')
    else take(';')
    links.push(() => {
      if (methods.has(full)) fail(`${full} is declared twice`)
      const isStreaming = input.isStream || output.isStream
      methods.set(full, { name: full, input: input.type(), output: output.type(), isStreaming })
    })
  }
  function side(): { isStream: boolean; type: () => MessageType } {
    take('(')
    const isStream = peek() === 'stream' && peek(1) !== ')' && takeIf('stream')
    const line = words.line()
    const typeOf = typeNamed(path())
    take(')')
    const type = () => {
      const found = typeOf()
      return found.kind === 'message' ? found : fail(`${found.name} is no message`, line)
    }
    return { isStream, type }
  }

  take('syntax')
  take('=')
  if (!/^["']proto3["']$/.test(take())) fail('only proto3 can be read')
  take(';')
  while (!words.isAtEnd()) {
    if (peek() === 'message') message()
    else if (peek() === 'enum') enumeration()
    else if (peek() === 'service') service()
    else if (peek() === 'option') skip(';')
    else if (peek() === 'import') fail('nothing can be imported: write what is used into this text')
    else if (takeIf('package')) {
      scope = path().split('.')
      take(';')
    } else if (!takeIf(';')) fail(`"${peek().slice(0, 40)}" begins nothing that can stand here`)
  }
  for (const link of links) link()
  return methods
}
