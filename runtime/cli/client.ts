/** The HTTP side of every command: one request, and its refusal as a text that helps. */
import { messageOf, type Problem } from '../errors.ts'
import { CliError, exitCodes, usageError } from './exit.ts'

export interface Client {
  readonly url: string
  /** JSON in, JSON out; undefined for an empty answer. */
  call<T>(method: string, path: string, options?: CallOptions): Promise<T>
  /** The answer's body as it is. */
  text(path: string, query?: Query): Promise<string>
}
export type Query = Readonly<Record<string, string | number | undefined>>
export interface CallOptions {
  readonly query?: Query
  readonly body?: unknown
  /** Sent as it is, with this media type, instead of `body`. */
  readonly raw?: { readonly text: string; readonly type: string }
  /** Statuses beside 2xx that are an answer and no refusal. */
  readonly alsoFine?: readonly number[]
}

/** @throws a usage error for an address that is none. */
export function createClient(address: string): Client {
  const base = parseAddress(address)
  const send = async (method: string, path: string, { query = {}, body, raw, alsoFine = [] }: CallOptions) => {
    const url = urlOf(base, path, query)
    const content = raw ?? (body === undefined ? undefined : { text: JSON.stringify(body), type: 'application/json' })
    const response = await fetch(url, {
      method,
      redirect: 'error',
      ...(content && { body: content.text, headers: { 'content-type': content.type } }),
    }).catch((thrown: unknown) => {
      throw unreachable(base.origin, thrown)
    })
    const text = await response.text().catch((thrown: unknown) => {
      throw unreachable(base.origin, thrown)
    })
    if (!response.ok && !alsoFine.includes(response.status)) throw refusal(response, text, base.origin)
    return { response, text }
  }
  return {
    url: base.origin,
    async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
      const { response, text } = await send(method, path, options)
      if (text === '') return undefined as T
      try {
        return JSON.parse(text) as T
      } catch {
        throw notOurs(base.origin, response.status)
      }
    },
    text: async (path, query) => (await send('GET', path, query ? { query } : {})).text,
  }
}

export function urlOf(base: URL | string, path: string, query: Query = {}): string {
  const url = new URL(path, base)
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
  return url.href
}

export const pathOfApp = (app: string, rest = '') => `/api/v1/apps/${segment(app)}${rest}`
export const pathOfSecret = (name: string) => `/api/v1/secrets/${segment(name)}`
export const pathOfPlugin = (id: string, rest = '') => `/api/v1/plugins/${segment(id)}${rest}`

/** `.` and `..` would be taken for steps in the path, however they are written. */
function segment(name: string): string {
  if (name === '' || name === '.' || name === '..') throw usageError(`${JSON.stringify(name)} cannot be a name.`)
  return encodeURIComponent(name)
}

function parseAddress(address: string): URL {
  const url = URL.parse(address)
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url
  throw usageError(
    `${JSON.stringify(address)} is not the address of an Orchestry.`,
    'give --url or ORCHESTRY_URL the form http://127.0.0.1:8000',
  )
}

function unreachable(origin: string, thrown: unknown): CliError {
  const cause = thrown instanceof Error && thrown.cause ? thrown.cause : thrown
  return new CliError(exitCodes.unreachable, `Nobody answers at ${origin} (${messageOf(cause)}).`, {
    code: 'ORC_API_UNREACHABLE',
    title: 'The Orchestry API does not answer',
    hint: 'start it with `orchestry serve`, or say where it is with --url or ORCHESTRY_URL',
    cause: thrown,
  })
}

function notOurs(origin: string, status: number): CliError {
  return new CliError(exitCodes.unreachable, `What answers at ${origin} is not Orchestry (status ${status}).`, {
    code: 'ORC_API_UNREACHABLE',
    title: 'The Orchestry API does not answer',
    hint: 'another program may have the port: start Orchestry with `orchestry serve --port …` and say where with --url',
  })
}

const hints: Readonly<Record<string, string>> = {
  ORC_APP_UNKNOWN: '`orchestry list` shows the apps there are',
  ORC_APP_EXISTS: '`orchestry apply` changes an app that exists',
  ORC_PLUGIN_UNKNOWN: '`orchestry plugin list` shows the plugins there are',
  ORC_PLUGIN_QUARANTINED: '`orchestry plugin show` tells why, `orchestry plugin reset` lets it try again',
  ORC_PLUGIN_NOTHING_PENDING: '`orchestry plugin show` tells which version serves',
  ORC_PLUGIN_CONFIG_INVALID: '`orchestry plugin show --json` has the schema of the config',
  ORC_SECRET_UNKNOWN: '`orchestry secret list` shows the secrets there are',
  ORC_API_INTERNAL: 'the log of `orchestry serve` has the details',
}

function refusal(response: Response, text: string, origin: string): CliError {
  const problem = parseProblem(text)
  if (!problem) return notOurs(origin, response.status)
  return new CliError(exitCodes.refused, problem.detail, {
    code: problem.code,
    title: problem.title,
    problems: problem.problems,
    hint: hints[problem.code],
  })
}

function parseProblem(text: string): { code: string; title: string; detail: string; problems: Problem[] } | undefined {
  try {
    const { code, title, detail, problems } = JSON.parse(text) as Record<string, unknown>
    if (typeof code !== 'string' || typeof detail !== 'string') return undefined
    return { code, title: String(title), detail, problems: Array.isArray(problems) ? (problems as Problem[]) : [] }
  } catch {
    return undefined
  }
}
