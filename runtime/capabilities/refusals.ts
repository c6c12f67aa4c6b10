/** A refusal of what is not granted, as against a failure of what is: only the first is a violation, and counts as denied. */
import type { ErrorCode } from '../errors.ts'

const refusals: ReadonlySet<ErrorCode> = new Set([
  'ORC_CAPABILITY_DENIED',
  'ORC_NET_BLOCKED_ADDRESS',
  'ORC_NET_REDIRECT_DENIED',
])

export const isRefusal = (code: ErrorCode): boolean => refusals.has(code)
