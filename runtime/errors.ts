/**
 * The one error catalogue. A code says which room noticed, whose fault it is and which HTTP status an API caller gets;
 * the detail, written where it happens, says what was wrong, where, what would be right, and that nothing was lost.
 */

/** Who can mend it: the operator (or API client), the author of a plugin, or we. */
export type Fault = 'operator' | 'plugin' | 'system'

type Row = { readonly fault: Fault; readonly status: number; readonly title: string }
const operator = (status: number, title: string): Row => ({ fault: 'operator', status, title })
const plugin = (status: number, title: string): Row => ({ fault: 'plugin', status, title })
const system = (status: number, title: string): Row => ({ fault: 'system', status, title })

export const catalogue = {
  ORC_API_BODY_INVALID: operator(400, 'The request body cannot be read'),
  ORC_API_BODY_TOO_LARGE: operator(413, 'The request body is too large'),
  ORC_API_HOST_REFUSED: operator(421, 'This server does not answer for that host name'),
  ORC_API_INTERNAL: system(500, 'Something inside Orchestry went wrong'),
  ORC_API_MEDIA_TYPE: operator(415, 'The body is of a type this route does not read'),
  ORC_API_METHOD_NOT_ALLOWED: operator(405, 'This address does not answer that method'),
  ORC_API_NOT_FOUND: operator(404, 'There is nothing at this address'),
  ORC_API_ORIGIN_REFUSED: operator(403, 'Requests from this origin are refused'),
  ORC_API_PRECONDITION: operator(412, 'Somebody else changed it first'),
  ORC_API_TOO_MANY_STREAMS: operator(429, 'Too many event streams are open'),
  ORC_API_UNREACHABLE: operator(502, 'The Orchestry API does not answer'),
  ORC_API_VALIDATION: operator(400, 'The request does not fit its schema'),

  ORC_APP_EXISTS: operator(409, 'An app of this name exists'),
  ORC_APP_ROUTE_TAKEN: operator(409, 'Another app has this route'),
  ORC_APP_UNKNOWN: operator(404, 'There is no app of this name'),
  ORC_SPEC_FORBIDDEN: operator(403, "The operator's policy does not allow what the spec asks for"),
  ORC_SPEC_INVALID: operator(400, 'The app spec is not valid'),
  ORC_SPEC_UNREADABLE: operator(400, 'The app spec is neither YAML nor JSON'),

  ORC_BALANCING_NO_BALANCER: operator(503, 'No load balancer plugin is serving'),

  ORC_CAPABILITY_DENIED: plugin(403, 'The plugin has no grant for this'),
  ORC_CAPABILITY_ARGUMENT: plugin(400, 'The plugin called a capability with arguments that do not fit'),
  ORC_CAPABILITY_LIMIT: plugin(429, 'The plugin used up what it was granted'),
  ORC_CAPABILITY_FAILED: system(502, 'The capability could not do what the plugin asked'),
  ORC_NET_BLOCKED_ADDRESS: plugin(403, 'The plugin may not connect to this address'),
  ORC_NET_REDIRECT_DENIED: plugin(403, 'The answer led to where the plugin may not go'),
  ORC_NET_TIMEOUT: system(504, 'The other side did not answer in time'),
  ORC_NET_UNREACHABLE: system(502, 'The other side cannot be reached'),

  ORC_CONFIG_INVALID: operator(400, 'A setting of Orchestry itself is not valid'),
  ORC_CONFIG_PORT_IN_USE: operator(409, 'The port is in use'),
  ORC_DATA_DIR_LOCKED: operator(409, 'Another Orchestry uses this data directory'),

  ORC_DATAPLANE_ENDPOINT_FAILED: operator(502, 'The app did not give a valid answer'),
  ORC_DATAPLANE_ENDPOINT_TIMEOUT: operator(504, 'The app did not answer in time'),
  ORC_DATAPLANE_NO_ENDPOINT: operator(503, 'No replica of the app takes requests'),
  ORC_DATAPLANE_NO_ROUTE: operator(404, 'No app has this route'),
  ORC_DATAPLANE_REQUEST_INVALID: operator(400, 'The request cannot be forwarded'),
  ORC_DATAPLANE_UNAVAILABLE: system(503, 'The embedded proxy does not answer'),

  ORC_DEMO_FAILED: system(500, 'The demonstration did not do what it shows'),

  ORC_DRIVER_START_FAILED: operator(502, 'The replica could not be started'),
  ORC_DRIVER_UNAVAILABLE: system(503, 'The driver cannot reach what it drives'),
  ORC_DRIVER_UNKNOWN: operator(400, 'There is no driver of this name'),
  ORC_ROLLOUT_NOTHING_EARLIER: operator(409, 'There is no earlier spec to go back to'),
  ORC_ROLLOUT_UNKNOWN: operator(404, 'No spec of this number is remembered'),

  ORC_INSTANCE_UNKNOWN: operator(404, 'There is no instance of this id'),

  ORC_HOOK_BREAKER_OPEN: plugin(503, 'The plugin failed too often and rests'),
  ORC_HOOK_NOT_OFFERED: operator(404, 'The plugin does not serve this hook'),
  ORC_HOOK_OUTPUT_INVALID: plugin(502, 'The plugin answered something that does not fit the hook'),
  ORC_HOOK_OVERLOADED: plugin(429, 'Too many calls wait for this plugin'),
  ORC_HOOK_NOT_SERVING: operator(503, 'The plugin is not serving'),

  ORC_PLUGIN_ACTIVATE_FAILED: plugin(422, 'The plugin could not be activated'),
  ORC_PLUGIN_BUILTIN: operator(409, 'The plugin comes with Orchestry'),
  ORC_PLUGIN_BUNDLE_FAILED: plugin(422, 'The plugin does not compile'),
  ORC_PLUGIN_CONFIG_INVALID: operator(400, 'The plugin config does not fit its schema'),
  ORC_PLUGIN_CONSENT_NEEDED: operator(409, 'The plugin asks for more than was granted'),
  ORC_PLUGIN_ENGINE_MISMATCH: operator(422, 'The plugin was written for another plugin API version'),
  ORC_PLUGIN_EXISTS: operator(409, 'An instance of this name exists'),
  ORC_PLUGIN_MANIFEST_INVALID: plugin(422, 'The plugin manifest is not valid'),
  ORC_PLUGIN_NOTHING_PENDING: operator(409, 'No version of the plugin waits for approval'),
  ORC_PLUGIN_PACKAGE_INVALID: operator(422, 'This is not a plugin package'),
  ORC_PLUGIN_QUARANTINED: plugin(503, 'The plugin is quarantined'),
  ORC_PLUGIN_UNKNOWN: operator(404, 'There is no plugin of this name'),

  ORC_SANDBOX_CPU_EXCEEDED: plugin(502, 'The plugin used more CPU time than it was granted'),
  ORC_SANDBOX_CRASHED: plugin(502, 'The sandbox of the plugin ended'),
  ORC_SANDBOX_GUEST_ERROR: plugin(502, 'The plugin threw an error'),
  ORC_SANDBOX_OUT_OF_MEMORY: plugin(502, 'The plugin used more memory than it was granted'),
  ORC_SANDBOX_PROTOCOL: plugin(502, 'The sandbox spoke out of protocol and was killed'),
  ORC_SANDBOX_RESULT_TOO_LARGE: plugin(502, 'The plugin answered more than it may'),
  ORC_SANDBOX_TIER_TOO_LOW: operator(409, 'This machine cannot confine the plugin as strictly as is required'),
  ORC_SANDBOX_TIMEOUT: plugin(504, 'The plugin did not answer in time'),
  ORC_SANDBOX_UNAVAILABLE: system(503, 'No sandbox could be started'),

  ORC_SECRET_INVALID: operator(400, 'The secret cannot be kept'),
  ORC_SECRET_KEY_UNUSABLE: system(500, 'The key of the stored secrets cannot be used'),
  ORC_SECRET_UNKNOWN: operator(404, 'There is no secret of this name'),

  ORC_STORE_CONFLICT: system(409, 'The stored value changed in between'),
  ORC_STORE_CORRUPT: system(500, 'The store file is damaged'),
  ORC_STORE_FAILED: system(500, 'The store did not accept the write'),
} as const satisfies Record<string, Row>

export type ErrorCode = keyof typeof catalogue

/** One thing that is wrong, and where. `path` is a JSON pointer; line and column count from 1. */
export type Problem = { path: string; message: string; line?: number; column?: number }

/** One part of a JSON pointer, as `Problem.path` is made of. */
export const escapePointer = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1')

export class OrchestryError extends Error {
  readonly code: ErrorCode
  readonly problems: readonly Problem[]

  constructor(code: ErrorCode, detail: string, options: { cause?: unknown; problems?: readonly Problem[] } = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'OrchestryError'
    this.code = code
    this.problems = options.problems ?? []
  }

  get fault(): Fault {
    return catalogue[this.code].fault
  }

  get status(): number {
    return catalogue[this.code].status
  }

  get title(): string {
    return catalogue[this.code].title
  }
}

/** The text of anything that was thrown, for a log line or an event; never empty. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name
  return String(thrown)
}

/** The code of anything that was thrown; what has none is ours. */
export function codeOf(thrown: unknown): ErrorCode {
  return thrown instanceof OrchestryError ? thrown.code : 'ORC_API_INTERNAL'
}
