/**
 * Single values of protobuf, between bytes and JSON: 64 bits are texts of digits, bytes are base64, and the three numbers that
 * JSON lacks are `NaN`, `Infinity` and `-Infinity`. Pure.
 */
import type { Scalar } from './grpc-proto.ts'

/** A message, or a reply, that cannot be what it should be. Its text says why. */
export class ValueError extends Error {}

/** 0: varint, 1: eight bytes, 2: a length and so many bytes, 5: four bytes. */
export type WireType = 0 | 1 | 2 | 5

export function wireTypeOf(scalar: Scalar): WireType {
  if (scalar === 'string' || scalar === 'bytes') return 2
  if (scalar === 'double' || scalar.endsWith('fixed64')) return 1
  if (scalar === 'float' || scalar.endsWith('fixed32')) return 5
  return 0
}

const isSigned = (scalar: Scalar) => !scalar.startsWith('u') && !scalar.startsWith('f')
const bitsOf = (scalar: Scalar) => (scalar.endsWith('64') ? 64 : 32)

export const zeroOf = (scalar: Scalar): string | number | boolean => {
  if (scalar === 'bool') return false
  if (scalar === 'string' || scalar === 'bytes') return ''
  return bitsOf(scalar) === 64 && scalar !== 'double' ? '0' : 0
}

export function encodeVarint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  do {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    bytes.push(rest === 0n ? low : low | 0x80)
  } while (rest !== 0n)
  return Buffer.from(bytes)
}

/** Throws ValueError. Of `string` and `bytes` without their length. */
export function encodeScalar(scalar: Scalar, value: unknown): Buffer {
  if (scalar === 'bool') {
    if (typeof value !== 'boolean') throw new ValueError('is neither true nor false')
    return Buffer.from([value ? 1 : 0])
  }
  if (scalar === 'string') {
    if (typeof value !== 'string' || !value.isWellFormed()) throw new ValueError('is no text')
    return Buffer.from(value)
  }
  if (scalar === 'bytes') {
    if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw new ValueError('is no base64 text')
    return Buffer.from(value, 'base64')
  }
  if (scalar === 'double' || scalar === 'float') {
    const buffer = Buffer.alloc(scalar === 'double' ? 8 : 4)
    if (scalar === 'double') buffer.writeDoubleLE(floatOf(value))
    else buffer.writeFloatLE(floatOf(value))
    return buffer
  }
  const integer = integerOf(scalar, value)
  if (scalar.startsWith('sint')) return encodeVarint(integer < 0n ? -integer * 2n - 1n : integer * 2n)
  if (!scalar.includes('fixed')) return encodeVarint(integer)
  const buffer = Buffer.alloc(bitsOf(scalar) / 8)
  if (bitsOf(scalar) === 64) buffer.writeBigUInt64LE(BigInt.asUintN(64, integer))
  else buffer.writeUInt32LE(Number(BigInt.asUintN(32, integer)))
  return buffer
}

function floatOf(value: unknown): number {
  if (typeof value === 'number') return value
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value)
  throw new ValueError('is no number')
}

function integerOf(scalar: Scalar, value: unknown): bigint {
  const isNumber = typeof value === 'number' && Number.isSafeInteger(value)
  if (!isNumber && !(typeof value === 'string' && /^-?\d{1,20}$/.test(value)))
    throw new ValueError(`is no ${scalar} (whole numbers beyond 2^53 are written as text)`)
  const integer = BigInt(value as string | number)
  const fitting = isSigned(scalar) ? BigInt.asIntN(bitsOf(scalar), integer) : BigInt.asUintN(bitsOf(scalar), integer)
  if (fitting !== integer) throw new ValueError(`is beyond what ${scalar} can hold`)
  return integer
}

/** Reads what `wireTypeOf` says; all of `bytes` is the one value. */
export function decodeScalar(scalar: Scalar, bytes: Buffer): string | number | boolean {
  if (scalar === 'string') return bytes.toString('utf8')
  if (scalar === 'bytes') return bytes.toString('base64')
  if (scalar === 'double') return jsonNumber(bytes.readDoubleLE())
  if (scalar === 'float') return jsonNumber(bytes.readFloatLE())
  if (scalar.includes('fixed')) {
    const bits = bitsOf(scalar)
    return integerTo(scalar, bits === 64 ? bytes.readBigUInt64LE() : BigInt(bytes.readUInt32LE()))
  }
  return integerTo(scalar, decodeVarint(bytes))
}

function integerTo(scalar: Scalar, raw: bigint): string | number | boolean {
  if (scalar === 'bool') return raw !== 0n
  const value = scalar.startsWith('sint') ? (raw >> 1n) ^ -(raw & 1n) : raw
  const bits = bitsOf(scalar)
  const fitting = isSigned(scalar) ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)
  return bits === 64 ? fitting.toString() : Number(fitting)
}

export function decodeVarint(bytes: Buffer): bigint {
  let value = 0n
  for (const [index, byte] of bytes.entries()) value |= BigInt(byte & 0x7f) << BigInt(7 * index)
  return BigInt.asUintN(64, value)
}

const jsonNumber = (value: number) => (Number.isFinite(value) ? value : String(value))
