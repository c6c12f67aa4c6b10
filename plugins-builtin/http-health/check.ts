/** How a health check becomes a request, and its answer a status. Pure. */
import type { HealthInput, HealthResult, NetOutcome, NetRequest } from '@orchestry/sdk'

/** `healthCheck.port` where the check has one of its own, else the port that takes the traffic. */
export function requestOf({ instance, healthCheck }: HealthInput): NetRequest {
  const { path, method, headers, body, timeoutSeconds } = healthCheck
  const host = instance.host.includes(':') ? `[${instance.host}]` : instance.host
  return {
    url: `http://${host}:${healthCheck.port ?? instance.port}${path.startsWith('/') ? path : `/${path}`}`,
    method,
    headers,
    timeoutMs: timeoutSeconds * 1_000,
    // The status decides: what else a replica sends, and for how long, is not for us to read.
    skipBody: true,
    ...(body === undefined ? {} : { body }),
  }
}

/** Whatever the replica itself does wrong is unhealthy; when the check could not be made at all, nothing is known. */
const repliesOfTheReplica = new Set(['ORC_NET_TIMEOUT', 'ORC_NET_UNREACHABLE', 'ORC_CAPABILITY_LIMIT'])

export function resultOf({ healthCheck }: HealthInput, outcome: NetOutcome): HealthResult {
  if (!outcome.ok) {
    const status = repliesOfTheReplica.has(outcome.code) ? 'unhealthy' : 'unknown'
    return {
      status,
      message: outcome.message.replace(/^ctx\.\w+: /, '').slice(0, 500),
      details: { code: outcome.code },
    }
  }
  const { status: statusCode, durationMs } = outcome.response
  const isExpected = expects(healthCheck.expectedStatusCodes, statusCode)
  const wanted = healthCheck.expectedStatusCodes.length === 0 ? '200-399' : healthCheck.expectedStatusCodes.join(', ')
  return {
    status: isExpected ? 'healthy' : 'unhealthy',
    message: isExpected ? `status ${statusCode}` : `status ${statusCode}, expected ${wanted}`,
    responseTimeMs: durationMs,
    details: { statusCode },
  }
}

/** Redirects are not followed, so a 302 is an answer; it counts as good where the spec names no codes. */
const expects = (codes: readonly number[], status: number): boolean =>
  codes.length === 0 ? status >= 200 && status <= 399 : codes.includes(status)
