/** Every refusal leaves through here, as `application/problem+json` (RFC 9457) with the code of the catalogue. */
import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import * as Type from 'typebox'
import { catalogue, type ErrorCode, type Fault, messageOf, OrchestryError, type Problem } from '../errors.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { securityHeaders } from './reply.ts'

export const ProblemDocument = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.Enum(Object.keys(catalogue) as ErrorCode[]),
  fault: Type.Enum(['operator', 'plugin', 'system'] satisfies Fault[]),
  /** The path that was asked for, or the number under which the log has more. */
  instance: Type.String(),
  problems: Type.Optional(
    Type.Array(
      Type.Object({
        path: Type.String(),
        message: Type.String(),
        line: Type.Optional(Type.Integer()),
        column: Type.Optional(Type.Integer()),
      }),
    ),
  ),
})
export type ProblemDocument = Type.Static<typeof ProblemDocument>

export function problemResponse(
  error: OrchestryError,
  instance: string,
  headers?: Readonly<Record<string, string>>,
): Response {
  const document: ProblemDocument = {
    type: `urn:orchestry:error:${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.message,
    code: error.code,
    fault: error.fault,
    instance,
    ...(error.problems.length > 0 && { problems: error.problems.map((problem): Problem => ({ ...problem })) }),
  }
  return new Response(JSON.stringify(document), {
    status: error.status,
    headers: { 'Content-Type': 'application/problem+json', ...securityHeaders, ...headers },
  })
}

/** What we did not throw on purpose is ours: the client gets a number, the log gets the error. */
export function createOnError({ log, secrets }: Pick<ApiDeps, 'log' | 'secrets'>) {
  return (thrown: unknown, c: Context<ApiEnv>): Response => {
    const error = withoutSecrets(known(thrown), secrets)
    if (error) {
      if (error.status >= 500 && error.fault === 'system')
        log.error({ code: error.code, path: c.req.path, cause: messageOf(error.cause ?? error) }, error.message)
      // What is still coming of such a body is not worth reading.
      const isUnread = error.code === 'ORC_API_BODY_TOO_LARGE'
      return problemResponse(error, c.req.path, isUnread ? { Connection: 'close' } : undefined)
    }
    const instance = `urn:uuid:${randomUUID()}`
    log.error({ err: thrown, method: c.req.method, path: c.req.path, instance }, 'a request failed for no known reason')
    const detail = `The request failed for a reason inside Orchestry. Its log has the details under ${instance}.`
    return problemResponse(new OrchestryError('ORC_API_INTERNAL', detail), instance)
  }
}

/** A refusal may repeat what a plugin said. */
function withoutSecrets(error: OrchestryError | undefined, secrets: ApiDeps['secrets']): OrchestryError | undefined {
  if (error === undefined) return undefined
  const { code, cause } = error
  const [message, problems] = secrets.redactData([error.message, error.problems] as const)
  return new OrchestryError(code, message, { problems, ...(cause !== undefined && { cause }) })
}

function known(thrown: unknown): OrchestryError | undefined {
  if (thrown instanceof OrchestryError) return thrown
  if (thrown instanceof HTTPException && thrown.status < 500)
    return new OrchestryError('ORC_API_BODY_INVALID', `${thrown.message}. Nothing was changed.`, { cause: thrown })
  // Only input that nests without end exhausts the stack of a parser.
  if (thrown instanceof RangeError && thrown.message.includes('call stack'))
    return new OrchestryError('ORC_API_BODY_INVALID', 'The body is nested too deeply. Nothing was changed.')
  return undefined
}

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

type FindFile = (c: Context<ApiEnv>) => Promise<Response | undefined>

/** A file of the page; else 405 with the methods that the path does have; else 404. */
export function createNotFound(api: Api, findFile: FindFile) {
  return async (c: Context<ApiEnv>): Promise<Response> => {
    const file = await findFile(c)
    if (file) return file
    const path = c.req.path
    const allowed = methods.filter((method) =>
      api.router.match(method, path)[0].some(([[, route]]) => route.method === method && route.path !== '/*'),
    )
    if (allowed.length === 0 || allowed.includes(c.req.method as (typeof methods)[number])) {
      const detail = `There is nothing at ${path}. The routes are listed at /openapi.json.`
      return problemResponse(new OrchestryError('ORC_API_NOT_FOUND', detail), path)
    }
    const detail = `${path} does not answer ${c.req.method}. It answers ${allowed.join(', ')}.`
    const error = new OrchestryError('ORC_API_METHOD_NOT_ALLOWED', detail)
    return problemResponse(error, path, { Allow: allowed.join(', ') })
  }
}
