/**
 * Requests at a steady rate, of a client that asks for nothing twice: a request whose kept connection was closed under it is a
 * failure like any other. Every failure is remembered with its time.
 */
import { Agent, request } from 'node:http'

export interface LoadOptions {
  /** Default true: connections are kept; false opens one for each request. */
  readonly isKept?: boolean
  /** A POST, which no proxy may send twice once a replica may have seen it. Its body is sent to `path`. */
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  /** What a good answer must have in its body, beside a status from 200 to 299. */
  readonly mustSay?: string
}

export interface LoadFailure {
  readonly startedMs: number
  readonly atMs: number
  readonly what: string
}

export interface LoadResult {
  readonly sent: number
  readonly failures: readonly LoadFailure[]
  /** Longest time without a good answer, in ms. */
  readonly longestGapMs: number
  readonly slowestMs: number
}

export interface SteadyLoad {
  readonly sent: () => number
  readonly failed: () => number
  /** Requests that have no answer yet. */
  readonly inFlight: () => number
  stop(): Promise<LoadResult>
}

const patienceMs = 20_000
const connections = 16

/** Ends with the test at the latest, also when the test fails before it stopped it. */
export function startLoad(
  test: { after(run: () => Promise<void>): void },
  url: string,
  requestsPerSecond: number,
  options: LoadOptions = {},
): SteadyLoad {
  const { isKept = true } = options
  const agent = new Agent(isKept ? { keepAlive: true, maxSockets: connections } : { keepAlive: false })
  const failures: LoadFailure[] = []
  const open = new Set<Promise<void>>()
  let sent = 0
  let lastGoodMs = performance.now()
  let longestGapMs = 0
  let slowestMs = 0

  const one = async () => {
    const startedMs = performance.now()
    try {
      await ask(url, agent, options)
      const nowMs = performance.now()
      longestGapMs = Math.max(longestGapMs, nowMs - lastGoodMs)
      slowestMs = Math.max(slowestMs, nowMs - startedMs)
      lastGoodMs = nowMs
    } catch (error) {
      failures.push({ startedMs, atMs: performance.now(), what: String(error) })
    }
  }
  const timer = setInterval(() => {
    sent += 1
    const running = one().finally(() => open.delete(running))
    open.add(running)
  }, 1_000 / requestsPerSecond)

  let stopped: Promise<LoadResult> | undefined
  const stop = () => {
    stopped ??= (async () => {
      clearInterval(timer)
      await Promise.all(open)
      agent.destroy()
      return { sent, failures, longestGapMs: Math.max(longestGapMs, performance.now() - lastGoodMs), slowestMs }
    })()
    return stopped
  }
  test.after(async () => {
    await stop()
  })
  return { sent: () => sent, failed: () => failures.length, inFlight: () => open.size, stop }
}

function ask(url: string, agent: Agent, { method = 'GET', headers = {}, mustSay }: LoadOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent, method, headers, timeout: patienceMs }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('error', reject)
      response.on('close', () => {
        const { statusCode = 0 } = response
        if (!response.complete) reject(new Error('the answer was cut off'))
        else if (statusCode < 200 || statusCode > 299) reject(new Error(`status ${statusCode}: ${body.slice(0, 80)}`))
        else if (mustSay !== undefined && !body.includes(mustSay)) reject(new Error(`answered ${body.slice(0, 80)}`))
        else resolve()
      })
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer for ${patienceMs} ms`)))
    asked.on('error', (error) =>
      reject(asked.reusedSocket ? new Error(`on a kept connection: ${error.message}`) : error),
    )
    asked.end(method === 'POST' ? 'posted' : undefined)
  })
}
