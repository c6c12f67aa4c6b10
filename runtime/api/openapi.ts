/** The OpenAPI 3.1 document, made once from the routes themselves. */
import { generateSpecs } from 'hono-openapi'
import type { Api } from './deps.ts'
import { operation } from './operation.ts'
import { ProblemDocument } from './problem.ts'
import { json } from './reply.ts'

const document = operation({
  tag: 'system',
  summary: 'This document',
  answers: { 200: { media: 'application/json', about: 'OpenAPI 3.1' } },
})

export function mountOpenApi(api: Api): void {
  let made: Promise<unknown> | undefined
  api.get(
    '/openapi.json',
    document.handle(async () => {
      made ??= describeApi(api)
      return json(await made)
    }),
  )
}

function describeApi(api: Api) {
  return generateSpecs(api, {
    excludeStaticFile: false,
    defaultValidationErrorResponse: false,
    documentation: {
      openapi: '3.1.0',
      info: {
        title: 'Orchestry',
        version: '1',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
        description:
          'Runs apps as replicas, keeps them healthy, routes traffic to them and scales them. Times are milliseconds since ' +
          'the epoch. Refusals are application/problem+json; `code` says what went wrong, `fault` who can mend it.',
      },
      tags: [
        { name: 'apps', description: 'What is run, and how it fares' },
        { name: 'decisions', description: 'How many replicas, and why' },
        { name: 'events', description: 'What has happened' },
        { name: 'plugins', description: 'What decides, probes, balances and exports' },
        { name: 'secrets', description: 'What apps and plugins are given, and nobody is shown' },
        { name: 'live', description: 'Streams for pages' },
        { name: 'system', description: 'Orchestry itself' },
      ],
      components: { schemas: { Problem: JSON.parse(JSON.stringify(ProblemDocument)) } },
    },
  })
}
