/** How a health check becomes a connection, and what became of it a status. Pure. */
import type { Exchange, HealthInput, HealthResult, StreamCapability } from '@orchestry/sdk'

type Outcome = Awaited<ReturnType<StreamCapability['exchangeAll']>>[number]

/** Nothing is sent and nothing is read: that somebody takes the connection is the answer. */
export function exchangeOf({ instance, healthCheck }: HealthInput): Exchange {
  const host = instance.host.includes(':') ? `[${instance.host}]` : instance.host
  return {
    target: `${host}:${healthCheck.port ?? instance.port}`,
    timeoutMs: healthCheck.timeoutSeconds * 1_000,
  }
}

/** A replica that nobody reaches is unhealthy; when the check could not be made at all, nothing is known. */
const faultsOfTheReplica = new Set(['ORC_NET_TIMEOUT', 'ORC_NET_UNREACHABLE'])

export function resultOf(outcome: Outcome): HealthResult {
  if (outcome.ok)
    return { status: 'healthy', message: 'accepts connections', responseTimeMs: outcome.response.durationMs }
  const { code, message } = outcome
  const status = faultsOfTheReplica.has(code) ? 'unhealthy' : 'unknown'
  return { status, message: message.replace(/^ctx\.\w+: /, '').slice(0, 500), details: { code } }
}
