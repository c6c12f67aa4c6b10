/** Real HTTP load at a steady rate, whatever the answers' speed (as users do not wait for each other). */
import autocannon from 'autocannon'

export interface Phase {
  readonly name: string
  readonly requestsPerSecond: number
  readonly seconds: number
}

export interface PhaseResult {
  readonly sent: number
  readonly answered: number
  /** No answer at all, or a status that is not 2xx. */
  readonly failed: number
  readonly p95Ms: number
}

/** Connections that take turns: enough that a slow answer does not slow the rate. */
const connections = 20

export async function runPhase(url: string, { requestsPerSecond, seconds }: Phase): Promise<PhaseResult> {
  const amount = requestsPerSecond * seconds
  const result = await autocannon({ url, connections, overallRate: requestsPerSecond, amount, timeout: 10 })
  return {
    sent: result.requests.sent,
    answered: result['2xx'],
    failed: result.errors + result.timeouts + result.non2xx,
    p95Ms: Math.round((result.latency as unknown as { p97_5: number }).p97_5),
  }
}
