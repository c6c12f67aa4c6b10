/** What an engine answered: read within bounds, and looked at before anything is concluded from it. */
import type { Readable } from 'node:stream'
import { OrchestryError } from '../errors.ts'

/** Of ten thousand containers with all their labels. */
const mostBytes = 64 * 1024 * 1024

/** The value, or the text where it is no JSON; undefined of an empty answer. @throws ORC_DRIVER_UNAVAILABLE when it is too long. */
export async function readAnswer(body: Readable): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop destroys the stream, and with it the connection.
    if (bytes > mostBytes) throw strange(`more than ${mostBytes / 1024 / 1024} MB`)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Nothing that runs is taken for gone because of an answer that is no list. */
export function containerList<T>(answer: unknown): T[] {
  if (Array.isArray(answer) && answer.every((one) => isObject(one) && typeof one.Id === 'string')) return answer as T[]
  throw strange('no list of containers')
}

export function containerDetails<T>(answer: unknown): T {
  const isWhole =
    isObject(answer) &&
    typeof answer.Id === 'string' &&
    ['State', 'Config', 'HostConfig', 'NetworkSettings'].every((part) => isObject(answer[part]))
  if (isWhole) return answer as T
  throw strange('no container')
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const strange = (what: string) =>
  new OrchestryError(
    'ORC_DRIVER_UNAVAILABLE',
    `The Docker engine answered with ${what}: is it one? What runs there goes on and nothing was forgotten; it is tried again.`,
  )
