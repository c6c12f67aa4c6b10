/** One route's promise, written once: what it reads is checked by the same schemas that the OpenAPI document shows. */
import type { Context } from 'hono'
import { type DescribeRouteOptions, resolver, uniqueSymbol } from 'hono-openapi'
import * as Type from 'typebox'
import { catalogue, type ErrorCode } from '../errors.ts'
import type { ApiEnv } from './deps.ts'
import { bodyReader, queryReader, standard } from './schema.ts'

const strict = { additionalProperties: false }
export const Nothing = Type.Object({}, strict)

type Answer = Type.TSchema | { readonly media: string; readonly about: string; readonly schema?: Type.TSchema }

interface Promised<Q extends Type.TSchema, B extends Type.TSchema> {
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly query?: Q
  readonly body?: B
  /** For bodies that the route reads itself: their media types. */
  readonly rawBody?: readonly string[]
  readonly answers: Readonly<Record<number, Answer>>
  readonly errors?: readonly ErrorCode[]
}

export interface Operation<Q extends Type.TSchema, B extends Type.TSchema> {
  query(c: Context<ApiEnv>): Type.Static<Q>
  body(c: Context<ApiEnv>): Promise<Type.Static<B>>
  /** The handler itself, carrying its description: one layer less than a describing middleware. */
  handle<H extends (c: Context<ApiEnv>) => Response | Promise<Response>>(handler: H): H
}

export function operation<Q extends Type.TSchema = typeof Nothing, B extends Type.TSchema = typeof Nothing>(
  promised: Promised<Q, B>,
): Operation<Q, B> {
  return {
    query: queryReader((promised.query ?? Nothing) as Q),
    body: bodyReader((promised.body ?? Nothing) as B),
    handle: (handler) => Object.assign(handler, { [uniqueSymbol]: { spec: describe(promised) } }),
  }
}

function describe({
  tag,
  summary,
  description,
  query,
  body,
  rawBody,
  answers,
  errors = [],
}: Promised<Type.TSchema, Type.TSchema>) {
  const spec: DescribeRouteOptions = {
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(query !== undefined && { parameters: parametersOf(query) }),
    ...((body !== undefined || rawBody !== undefined) && { requestBody: requestBodyOf(body, rawBody) }),
    responses: { ...answersOf(answers), ...refusalsOf(errors) },
  }
  return spec
}

function parametersOf(query: Type.TSchema) {
  const { properties = {}, required = [] } = query as { properties?: Record<string, object>; required?: string[] }
  return Object.entries(properties).map(([name, schema]) => ({
    in: 'query',
    name,
    required: required.includes(name),
    schema,
  }))
}

function requestBodyOf(body: Type.TSchema | undefined, rawBody: readonly string[] = ['application/json']) {
  const schema = body === undefined ? { type: 'string' as const } : resolver(standard(body))
  const isRequired = body === undefined || ((body as { required?: string[] }).required ?? []).length > 0
  return { required: isRequired, content: Object.fromEntries(rawBody.map((media) => [media, { schema }])) }
}

function answersOf(answers: Readonly<Record<number, Answer>>) {
  return Object.fromEntries(
    Object.entries(answers).map(([status, answer]) => {
      if ('media' in answer) {
        const schema = answer.schema ? resolver(standard(answer.schema)) : { type: 'string' as const }
        const content = answer.media === '' ? undefined : { [answer.media]: { schema } }
        return [status, { description: answer.about, ...(content && { content }) }]
      }
      return [status, { description: 'Done', content: { 'application/json': { schema: resolver(standard(answer)) } } }]
    }),
  )
}

/** By status, because one status may have several codes. */
function refusalsOf(errors: readonly ErrorCode[]) {
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
  const byStatus = Object.groupBy(errors, (code) => String(catalogue[code].status))
  const listed = Object.entries(byStatus).map(([status, codes = []]) => [
    status,
    { description: codes.map((code) => `${code}: ${catalogue[code].title}`).join('; '), content },
  ])
  return { ...Object.fromEntries(listed), default: { description: 'Refused or failed', content } }
}
