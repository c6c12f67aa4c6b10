/** Server-sent events for `-f`: goes on after a lost connection, gives up when nobody answers for a while. */
import { CliError, exitCodes } from './exit.ts'

const patienceMs = 30_000

/** Never resolves by itself but where the server ends the matter for good; ctrl-c is the usual end. */
export async function follow(url: string, types: readonly string[], onData: (data: unknown) => void): Promise<void> {
  const { EventSource } = await import('undici')
  const source = new EventSource(url)
  const { promise, reject } = Promise.withResolvers<never>()
  let timer: NodeJS.Timeout | undefined
  const giveUp = () =>
    reject(
      new CliError(exitCodes.unreachable, `The connection to ${new URL(url).origin} was lost.`, {
        code: 'ORC_API_UNREACHABLE',
        title: 'The Orchestry API does not answer',
        hint: 'start it with `orchestry serve`',
      }),
    )
  source.addEventListener('open', () => {
    clearTimeout(timer)
    timer = undefined
  })
  source.addEventListener('error', () => {
    if (source.readyState === source.CLOSED) return giveUp()
    timer ??= setTimeout(giveUp, patienceMs)
  })
  const hear = (message: Event) => onData(JSON.parse((message as Event & { data: string }).data))
  for (const type of types) source.addEventListener(type, hear)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    source.close()
  }
}
