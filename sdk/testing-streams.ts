/** TCP and Unix sockets in a test: what the other side answers, as the test wrote it down. */
import type { Chunk, Exchange, ReadOptions, StreamCapability } from './capabilities.ts'
import { coded } from './testing-coded.ts'

/** A text is what is read, and then more could come. An `Error` is a failed connection, or what its own `code` says. */
export type StreamFixture = string | Partial<Chunk> | Error
/**
 * Answers by target, or by a function of what is exchanged. A target that is not there is refused. On an open connection
 * each read is an exchange of what was written since the last one; opening it, and an exchange that neither sends nor
 * reads, is one of the target alone.
 */
export type StreamFixtures =
  | Readonly<Record<string, StreamFixture>>
  | ((exchange: Exchange) => StreamFixture | undefined | Promise<StreamFixture | undefined>)

export function streamOf(kind: 'tcp' | 'unix', fixtures: StreamFixtures): StreamCapability {
  const open = new Map<string, { target: string; written: string[] }>()
  let opened = 0

  const ask = async (request: Exchange): Promise<Chunk> => {
    const { target, send, until } = request
    const found = typeof fixtures === 'function' ? await fixtures(request) : fixtures[target]
    if (found === undefined)
      throw coded('ORC_CAPABILITY_DENIED', `ctx.${kind}: the test has no answer for ${target} (grants.${kind})`)
    if (found instanceof Error) throw 'code' in found ? found : coded('ORC_NET_UNREACHABLE', found.message)
    if (send === undefined && until === undefined) return { data: '', isEnd: false }
    return { data: '', isEnd: false, ...(typeof found === 'string' ? { data: found } : found) }
  }
  const find = (id: string) => {
    const found = open.get(id)
    if (found !== undefined) return found
    throw coded('ORC_CAPABILITY_ARGUMENT', `ctx.${kind}: this call has no open connection "${id}"`)
  }
  const exchange = async (request: Exchange) => ({ ...(await ask(request)), durationMs: 1 })

  return {
    async open(target) {
      await ask({ target })
      opened += 1
      open.set(`c${opened}`, { target, written: [] })
      return `c${opened}`
    },
    async write(id, data) {
      find(id).written.push(data)
    },
    async read(id, options: ReadOptions = {}) {
      const { target, written } = find(id)
      return await ask({ ...options, target, send: written.splice(0).join('') })
    },
    async close(id) {
      find(id)
      open.delete(id)
    },
    exchange,
    exchangeAll: (requests) =>
      Promise.all(
        requests.map(async (request) => {
          try {
            return { ok: true as const, response: await exchange(request) }
          } catch (error) {
            const { code, message } = error as Error & { code: string }
            return { ok: false as const, code, message }
          }
        }),
      ),
  }
}
