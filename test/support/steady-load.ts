/** Requests at a steady rate, one after another on kept connections; every failure is remembered with its time. */
import { Agent, request } from 'undici'

export interface LoadResult {
  readonly sent: number
  readonly failures: readonly { readonly atMs: number; readonly what: string }[]
  /** Longest time without a good answer, in ms. */
  readonly longestGapMs: number
}

export interface SteadyLoad {
  readonly sent: () => number
  stop(): Promise<LoadResult>
}

/** Ends with the test at the latest, also when the test fails before it stopped it. */
export function startLoad(
  test: { after(run: () => Promise<void>): void },
  url: string,
  requestsPerSecond: number,
): SteadyLoad {
  const agent = new Agent({ connections: 16, pipelining: 1 })
  const failures: { atMs: number; what: string }[] = []
  const open = new Set<Promise<void>>()
  let sent = 0
  let lastGoodMs = performance.now()
  let longestGapMs = 0

  const one = async () => {
    try {
      const { statusCode, body } = await request(url, {
        dispatcher: agent,
        headersTimeout: 10_000,
        bodyTimeout: 10_000,
      })
      await body.text()
      if (statusCode < 200 || statusCode > 299) throw new Error(`status ${statusCode}`)
      const nowMs = performance.now()
      longestGapMs = Math.max(longestGapMs, nowMs - lastGoodMs)
      lastGoodMs = nowMs
    } catch (error) {
      failures.push({ atMs: performance.now(), what: String(error) })
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
      await agent.close()
      return { sent, failures, longestGapMs }
    })()
    return stopped
  }
  test.after(async () => {
    await stop()
  })
  return { sent: () => sent, stop }
}
