/** Reads what a guest answered: a JSON array with one `[1, value]` or `[0, words]` for each item. Nothing in it is believed. */
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import { parseUntrustedJson } from './json.ts'
import type { Description, GuestAnswer } from './sandbox.ts'

/** The bootstrap keeps to it; who does not is cut short. */
const maxWords = 500
const place = / \((plugin\.js:\d+:\d+)\)$/

export function readSlots(body: string, count: number): GuestAnswer[] {
  let slots: unknown
  try {
    slots = parseUntrustedJson(body, limits.jsonDepth)
  } catch (thrown) {
    return failAll(count, `the answer is ${messageOf(thrown)}`)
  }
  if (!Array.isArray(slots)) return failAll(count, 'the answer is not a list')
  if (slots.length === 1 && count !== 1 && isFailure(slots[0])) {
    return Array.from({ length: count }, () => toAnswer(slots[0]))
  }
  if (slots.length !== count) return failAll(count, `${slots.length} answers to ${count} items`)
  return slots.map(toAnswer)
}

const isFailure = (slot: unknown): boolean => Array.isArray(slot) && slot[0] === 0

function toAnswer(slot: unknown): GuestAnswer {
  if (Array.isArray(slot) && slot.length === 2) {
    if (slot[0] === 1) return { ok: true, value: slot[1] }
    if (slot[0] === 0 && typeof slot[1] === 'string') {
      return { ok: false, code: 'ORC_SANDBOX_GUEST_ERROR', ...readWords(slot[1]) }
    }
  }
  return { ok: false, code: 'ORC_SANDBOX_PROTOCOL', message: 'an answer in no known form' }
}

/** What a guest said of its error, cut short, and the place that stands behind it. */
export function readWords(given: string): { message: string; line?: string } {
  const words = given.slice(0, maxWords)
  const line = place.exec(words)?.[1]
  return { message: words.replace(place, ''), ...(line === undefined ? {} : { line }) }
}

export function failAll(
  count: number,
  message: string,
  code: Extract<GuestAnswer, { ok: false }>['code'] = 'ORC_SANDBOX_PROTOCOL',
): GuestAnswer[] {
  return Array.from({ length: count }, () => ({ ok: false, code, message }))
}

const name = Type.String({ maxLength: 128 })
const record = Type.Record(Type.String({ maxLength: 128 }), Type.Unknown())
const descriptionCheck = Compile(
  Type.Object(
    {
      hooks: Type.Record(
        Type.String({ maxLength: 128 }),
        Type.Object(
          { functions: Type.Array(name, { maxItems: 64 }), declares: record },
          { additionalProperties: false },
        ),
      ),
      lifecycle: Type.Array(name, { maxItems: 64 }),
      configSchema: Type.Optional(record),
    },
    { additionalProperties: false },
  ),
)

/** @throws ORC_PLUGIN_ACTIVATE_FAILED when it is not what our bootstrap makes of a plugin object. */
export function readDescription(value: unknown): Description {
  if (descriptionCheck.Check(value)) return value as Description
  throw new OrchestryError(
    'ORC_PLUGIN_ACTIVATE_FAILED',
    'what the plugin declares is not an object of hooks, functions and a config schema of at most 64 names each',
  )
}
