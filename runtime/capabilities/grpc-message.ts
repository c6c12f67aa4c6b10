/**
 * Messages of protobuf, between bytes and JSON, by the types of a proto text: fields have the names that stand there, values
 * of enums their names. What a server sends is bounded in depth and in values before any of it is built. Pure.
 */

import type { EnumType, Field, MessageType, ValueType } from './grpc-proto.ts'
import {
  decodeScalar,
  decodeVarint,
  encodeScalar,
  ValueError,
  encodeVarint as varint,
  type WireType,
  wireTypeOf,
  zeroOf,
} from './grpc-scalars.ts'

const deepest = 32
const mostValues = 65_536

/** More than may be held, as against something that is wrong. */
export class TooManyValuesError extends ValueError {}

/** Throws ValueError, which names the field. */
export function encodeMessage(type: MessageType, value: unknown): Buffer {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ValueError('is no object')
  const given = new Map(Object.entries(value))
  const parts: Buffer[] = []
  for (const field of type.fields) {
    const own: unknown = given.get(field.name)
    given.delete(field.name)
    if (own !== undefined && own !== null) within(field.name, () => encodeField(field, own, parts))
  }
  const [unknown] = given.keys()
  if (unknown !== undefined) throw new ValueError(`has a field "${unknown.slice(0, 64)}" that ${type.name} has not`)
  return Buffer.concat(parts)
}

function encodeField(field: Field, value: unknown, parts: Buffer[]): void {
  if (field.key !== undefined) {
    if (typeof value !== 'object' || Array.isArray(value)) throw new ValueError('is no object')
    const keyType = field.key
    for (const [key, one] of Object.entries(value as object)) {
      // JSON has only texts as names.
      const typed = keyType === 'bool' ? key === 'true' : key
      const entry = [encodeOne(1, keyType, typed), within(key, () => encodeOne(2, field.type, one))]
      parts.push(delimited(field.number, Buffer.concat(entry)))
    }
    return
  }
  if (!field.isRepeated) {
    parts.push(encodeOne(field.number, field.type, value))
    return
  }
  if (!Array.isArray(value)) throw new ValueError('is no list')
  const { type } = field
  if (isLengthDelimited(type)) {
    for (const [index, one] of value.entries())
      parts.push(within(String(index), () => encodeOne(field.number, type, one)))
    return
  }
  const packed = value.map((one, index) => within(String(index), () => encodeValue(type, one)))
  if (packed.length > 0) parts.push(delimited(field.number, Buffer.concat(packed)))
}

const isLengthDelimited = (type: ValueType) => wireTypeFor(type) === 2
function wireTypeFor(type: ValueType): WireType {
  if (typeof type === 'string') return wireTypeOf(type)
  return type.kind === 'enum' ? 0 : 2
}

const tag = (number: number, wireType: WireType) => varint(BigInt(number * 8 + wireType))
const delimited = (number: number, bytes: Buffer) =>
  Buffer.concat([tag(number, 2), varint(BigInt(bytes.length)), bytes])

function encodeOne(number: number, type: ValueType, value: unknown): Buffer {
  const wireType = wireTypeFor(type)
  const bytes = encodeValue(type, value)
  return wireType === 2 ? delimited(number, bytes) : Buffer.concat([tag(number, wireType), bytes])
}

function encodeValue(type: ValueType, value: unknown): Buffer {
  if (typeof type === 'string') return encodeScalar(type, value)
  if (type.kind === 'message') return encodeMessage(type, value)
  const number = typeof value === 'string' ? type.numbers.get(value) : value
  if (typeof number !== 'number') throw new ValueError(`is no value of ${type.name}`)
  return encodeScalar('int32', number)
}

function within<T>(name: string, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    if (thrown instanceof ValueError) throw new ValueError(`/${name.slice(0, 64)} ${thrown.message}`.replace(' /', '/'))
    throw thrown
  }
}

type Json = string | number | boolean | Json[] | { [name: string]: Json }

interface Reading {
  valuesLeft: number
  /** What texts of the server become. */
  readonly text: (text: string) => string
}

/** Throws ValueError, or TooManyValuesError. Absent fields have their zero; absent messages and `optional` ones are left out. */
export function decodeMessage(
  type: MessageType,
  bytes: Buffer,
  text: (text: string) => string,
): { [name: string]: Json } {
  return decode(type, bytes, { valuesLeft: mostValues, text }, 0)
}

function decode(type: MessageType, bytes: Buffer, reading: Reading, depth: number): { [name: string]: Json } {
  if (depth > deepest) throw new TooManyValuesError(`is nested deeper than ${deepest}`)
  // Each is looked at, and most of them get a value, whether it was sent or not.
  count(reading, type.fields.length)
  const found = new Map<Field, Json>()
  const maps = new Map<Field, Map<string, Json>>()
  for (const { number, wireType, value } of readFields(bytes)) {
    count(reading, 1)
    const field = type.byNumber.get(number)
    if (field === undefined) continue
    if (field.key !== undefined) {
      const [key, one] = decodeEntry(field, value, reading, depth)
      const entries = maps.get(field) ?? new Map<string, Json>()
      maps.set(field, entries.set(key, one))
    } else if (!field.isRepeated) found.set(field, decodeValue(field.type, wireType, value, reading, depth))
    else {
      const list = (found.get(field) ?? []) as Json[]
      found.set(field, list)
      for (const one of unpack(field.type, wireType, value, reading))
        list.push(decodeValue(field.type, one.wireType, one.value, reading, depth))
    }
  }
  for (const [field, entries] of maps) found.set(field, Object.fromEntries(entries))
  const present = type.fields.filter((field) => found.has(field) || !field.hasPresence)
  return Object.fromEntries(present.map((field) => [field.name, found.get(field) ?? absent(field)]))
}

function absent(field: Field): Json {
  if (field.key !== undefined) return {}
  return field.isRepeated ? [] : zeroFor(field.type)
}

function zeroFor(type: ValueType): Json {
  if (typeof type === 'string') return zeroOf(type)
  return type.kind === 'enum' ? enumName(type, 0) : {}
}

function count(reading: Reading, values: number): void {
  reading.valuesLeft -= values
  if (reading.valuesLeft < 0) throw new TooManyValuesError(`has more than ${mostValues} values`)
}

function decodeEntry(field: Field, bytes: Buffer, reading: Reading, depth: number): [string, Json] {
  const keyType = field.key ?? 'string'
  let key = zeroOf(keyType)
  let own: Json | undefined
  for (const { number, wireType, value } of readFields(bytes)) {
    count(reading, 1)
    if (number === 1) key = decodeValue(keyType, wireType, value, reading, depth) as string
    else if (number === 2) own = decodeValue(field.type, wireType, value, reading, depth)
  }
  if (String(key) === '__proto__') throw new ValueError('has a key that no object should have')
  return [String(key), own ?? zeroFor(field.type)]
}

function decodeValue(type: ValueType, wireType: WireType, value: Buffer, reading: Reading, depth: number): Json {
  if (wireType !== wireTypeFor(type)) throw new ValueError('does not fit the proto text of the grant')
  if (typeof type !== 'string')
    return type.kind === 'message'
      ? decode(type, value, reading, depth + 1)
      : enumName(type, decodeScalar('int32', value))
  const decoded = decodeScalar(type, value)
  return type === 'string' ? reading.text(decoded as string) : decoded
}

/** The number itself where the proto text has no name for it. */
function enumName(type: EnumType, number: string | number | boolean): string | number {
  for (const [name, own] of type.numbers) if (own === number) return name
  return Number(number)
}

interface Raw {
  readonly wireType: WireType
  readonly value: Buffer
}

/** Numbers of a list may stand one by one or all in one field. */
function* unpack(type: ValueType, wireType: WireType, value: Buffer, reading: Reading): Iterable<Raw> {
  if (isLengthDelimited(type) || wireType !== 2) yield { wireType, value }
  else
    for (let at = 0; at < value.length; ) {
      count(reading, 1)
      const wanted = wireTypeFor(type)
      const one = readRaw(value, at, wanted)
      yield { wireType: wanted, value: one.value }
      at = one.next
    }
}

function* readFields(bytes: Buffer): Iterable<Raw & { readonly number: number }> {
  for (let at = 0; at < bytes.length; ) {
    const head = readRaw(bytes, at, 0)
    const key = Number(decodeVarint(head.value))
    const wireType = key % 8
    // Groups are not of proto3, and nothing else is left.
    if (![0, 1, 2, 5].includes(wireType)) throw new ValueError('is no message of protobuf')
    const { value, next } = readRaw(bytes, head.next, wireType as WireType)
    yield { number: Math.floor(key / 8), wireType: wireType as WireType, value }
    at = next
  }
}

/** The bytes of the one value that begins there; of a delimited one without its length. */
function readRaw(bytes: Buffer, at: number, wireType: WireType): { value: Buffer; next: number } {
  let [start, length] = [at, wireType === 1 ? 8 : 4]
  if (wireType === 0) {
    length = 1
    while (length < 10 && ((bytes[at + length - 1] ?? 0) & 0x80) !== 0) length += 1
    if (((bytes[at + length - 1] ?? 0) & 0x80) !== 0) throw new ValueError('is no message of protobuf')
  } else if (wireType === 2) {
    const size = readRaw(bytes, at, 0)
    ;[start, length] = [size.next, Number(decodeVarint(size.value))]
  }
  if (start + length > bytes.length) throw new ValueError('ends in the middle of a value')
  return { value: bytes.subarray(start, start + length), next: start + length }
}
