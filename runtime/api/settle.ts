/** Changes are answered when they are accepted; `?wait=<seconds>` waits for the world to follow. */
import type { Context } from 'hono'
import * as Type from 'typebox'
import type { ApiDeps, ApiEnv } from './deps.ts'

export const Wait = Type.Object(
  {
    wait: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 300, description: 'seconds to wait until the app is as it should be' }),
    ),
  },
  { additionalProperties: false },
)

/** False where nobody asked to wait, where the time was too short, and when the server is closing. */
export async function settle(
  { reconciler }: Pick<ApiDeps, 'reconciler'>,
  c: Context<ApiEnv>,
  app: string,
  { wait }: Type.Static<typeof Wait>,
): Promise<boolean> {
  if (wait === undefined || wait === 0) return false
  const closing = c.env?.closing
  const isSettled = reconciler.settled(app, wait * 1000)
  if (!closing) return isSettled
  const { promise: closed, resolve } = Promise.withResolvers<boolean>()
  const finish = () => resolve(false)
  if (closing.aborted) finish()
  closing.addEventListener('abort', finish, { once: true })
  try {
    return await Promise.race([isSettled, closed])
  } finally {
    closing.removeEventListener('abort', finish)
  }
}

export function answerStatus(isSettled: boolean): 200 | 202 {
  return isSettled ? 200 : 202
}
