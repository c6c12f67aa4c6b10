/** `/api/v1/secrets`: which there are and who may use them. A value comes in here and never goes out. */
import type { Context } from 'hono'
import * as Type from 'typebox'
import { OrchestryError } from '../errors.ts'
import type { SecretView } from '../secrets/secrets.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { operation } from './operation.ts'
import { json, nothing } from './reply.ts'
import { usersOf } from './secret-uses.ts'
import { Secret, SecretList } from './shapes.ts'

const tag = 'secrets'
const unknown = ['ORC_SECRET_UNKNOWN'] as const

const list = operation({ tag, summary: 'All secrets by name, never their values', answers: { 200: SecretList } })
const show = operation({
  tag,
  summary: 'One secret: when it was set and who may use it, never its value',
  answers: { 200: Secret },
  errors: unknown,
})
const put = operation({
  tag,
  summary: 'Set a secret',
  description:
    'It is stored encrypted and never shown again. Apps get it with their next start, plugins with their next use of it.',
  body: Type.Object({ value: Type.String() }, { additionalProperties: false }),
  answers: { 200: Secret, 201: Secret },
  errors: ['ORC_SECRET_INVALID', 'ORC_SECRET_KEY_UNUSABLE', 'ORC_API_VALIDATION', 'ORC_API_BODY_INVALID'],
})
const remove = operation({
  tag,
  summary: 'Forget a secret',
  answers: { 204: { media: '', about: 'Gone' } },
  errors: unknown,
})

export function mountSecrets(api: Api, { secrets, apps, plugins }: ApiDeps): void {
  const viewOf = (secret: SecretView) => ({ ...secret, ...usersOf(secret.name, apps.list(), plugins.list()) })
  const nameOf = (c: Context<ApiEnv>) => c.req.param('name') ?? ''
  const find = (name: string) => secrets.list().find((secret) => secret.name === name)

  api.get(
    '/api/v1/secrets',
    list.handle(() => json({ secrets: secrets.list().map(viewOf) })),
  )
  api.get(
    '/api/v1/secrets/:name',
    show.handle((c) => {
      const found = find(nameOf(c))
      if (found !== undefined) return json(viewOf(found))
      const name = JSON.stringify(nameOf(c).slice(0, 64))
      throw new OrchestryError('ORC_SECRET_UNKNOWN', `There is no secret ${name}. See: orchestry secret list`)
    }),
  )
  api.put(
    '/api/v1/secrets/:name',
    put.handle(async (c) => {
      const { value } = await readValue(c)
      const isNew = find(nameOf(c)) === undefined
      const stored = await secrets.put(nameOf(c), value)
      return json(viewOf(stored), isNew ? 201 : 200, { Location: `/api/v1/secrets/${encodeURIComponent(stored.name)}` })
    }),
  )
  api.delete(
    '/api/v1/secrets/:name',
    remove.handle(async (c) => {
      await remove.body(c)
      await secrets.remove(nameOf(c))
      return nothing()
    }),
  )
}

/** What is wrong with other bodies is told with a piece of them; of this one nothing is repeated. */
async function readValue(c: Context<ApiEnv>): Promise<{ value: string }> {
  try {
    return await put.body(c)
  } catch (thrown) {
    const isUnfit =
      thrown instanceof OrchestryError &&
      (thrown.code === 'ORC_API_VALIDATION' || thrown.code === 'ORC_API_BODY_INVALID')
    if (!isUnfit) throw thrown
    throw new OrchestryError(
      thrown.code,
      'The body must be JSON of the form {"value": "…"}, and nothing else. What was sent is not repeated here. Nothing was stored.',
    )
  }
}
