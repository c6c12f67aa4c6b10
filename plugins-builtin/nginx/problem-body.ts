/** What a client gets when there is no answer to pass on. Pure. */
import { appName } from './tokens.ts'

const problems = {
  noRoute: [404, 'ORC_DATAPLANE_NO_ROUTE', 'No app has this route'],
  noEndpoint: [503, 'ORC_DATAPLANE_NO_ENDPOINT', 'No replica of the app takes requests'],
  failed: [502, 'ORC_DATAPLANE_ENDPOINT_FAILED', 'The app did not give a valid answer'],
  slow: [504, 'ORC_DATAPLANE_ENDPOINT_TIMEOUT', 'The app did not answer in time'],
  invalid: [400, 'ORC_DATAPLANE_REQUEST_INVALID', 'The request cannot be forwarded'],
} as const

/** A `return` of nginx: its words hold no quote, dollar or backslash. */
export function answerWith(problem: keyof typeof problems, detail: string): string {
  const [status, code, title] = problems[problem]
  const body = JSON.stringify({ type: 'about:blank', title, status, code, detail, fault: 'operator' })
  return `return ${status} '${body}';`
}

export const noEndpoint = (app: string): string =>
  answerWith('noEndpoint', `No replica of ${appName(app)} takes requests right now.`)
