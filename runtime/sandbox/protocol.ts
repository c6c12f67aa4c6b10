/**
 * What may be said on the channel, per direction. No message carries a plugin's identity or grants: those belong to the
 * channel object in the host. Ids are the host's own and are answered once.
 */
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { limits } from '../limits.ts'
import { parseUntrustedJson, UntrustedJsonError } from './json.ts'

/** What the host says. Its body, if any, is named beside each. */
export type ToGuest =
  /** Body: the bundle. */
  | { op: 'load'; id: number }
  | { op: 'describe'; id: number; memoryMb: number; timeoutMs: number }
  /** Body: the config. */
  | { op: 'validate'; id: number; memoryMb: number; timeoutMs: number }
  /** Body: the config. */
  | {
      op: 'open'
      id: number
      instance: string
      memoryMb: number
      timeoutMs: number
      hostCalls: number
      outBytes: number
      bindings: Readonly<Record<string, string>>
      nowMs: number
      seed: string
    }
  /** Body: a JSON array of the items. */
  | {
      op: 'call'
      id: number
      instance: string
      hook: string
      fn: string
      per: 'item' | 'call'
      timeoutMs: number
      nowMs: number
      seed: string
    }
  /** Body: what the host call brought, or a JSON `{ code, message }`. */
  | { op: 'settle'; instance: string; request: number; isOk: boolean; nowMs: number }
  | { op: 'close'; id: number; instance: string }

const strict = { additionalProperties: false }
const id = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const instance = Type.String({ minLength: 1, maxLength: 128 })

export const FailureKind = Type.Union([
  Type.Literal('guest'),
  Type.Literal('timeout'),
  Type.Literal('memory'),
  Type.Literal('tooLarge'),
  Type.Literal('gone'),
])
export type FailureKind = Type.Static<typeof FailureKind>

const FromGuest = Type.Union([
  Type.Object({ op: Type.Literal('ready'), pid: id }, strict),
  /** Body: the answer; for a failure its text. `cpuMs` is what the isolate spent on it: for the accounting, never for a limit. */
  Type.Object(
    {
      op: Type.Literal('result'),
      id,
      failure: Type.Optional(FailureKind),
      cpuMs: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
    },
    strict,
  ),
  /** The hook call runs no longer but awaits something: the isolate is free for another. */
  Type.Object({ op: Type.Literal('pending'), id }, strict),
  /** Body: the arguments, a JSON array. `call` is the hook call it was made from. */
  Type.Object(
    {
      op: Type.Literal('host'),
      instance,
      call: id,
      request: id,
      operation: Type.String({ minLength: 1, maxLength: 96, pattern: '^[a-zA-Z][a-zA-Z0-9]*\\.[a-zA-Z]+$' }),
    },
    strict,
  ),
  /** The isolate went wrong between calls, or after an await: its calls will not be answered. Body: for `guest`, the words. */
  Type.Object({ op: Type.Literal('lost'), instance, failure: FailureKind }, strict),
  Type.Object(
    {
      op: Type.Literal('beat'),
      /** Instance, used heap in bytes, CPU time in ms since the isolate was made. */
      isolates: Type.Array(Type.Tuple([instance, Type.Number({ minimum: 0 }), Type.Number({ minimum: 0 })]), {
        maxItems: 64,
      }),
    },
    strict,
  ),
])
export type FromGuest = Type.Static<typeof FromGuest>

const checker = Compile(FromGuest)
export const maxHeaderBytes = 16 * 1024

/** @throws UntrustedJsonError for anything that is not exactly one of the messages above, with a body only where one belongs. */
export function parseFromGuest(header: string, body = ''): FromGuest {
  const message = parseUntrustedJson(header, 8)
  if (!checker.Check(message)) throw new UntrustedJsonError('a message that is not in the protocol')
  if (body !== '' && message.op !== 'result' && message.op !== 'host' && message.op !== 'lost') {
    throw new UntrustedJsonError(`a message with a body that belongs to none (${message.op})`)
  }
  return message
}

export const maxFrameFromGuestBytes = limits.frameFromGuestBytes
