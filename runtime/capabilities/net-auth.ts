/** Puts secrets into the headers of a request, in the host, and takes them out of whatever comes back to the guest. */
import { OrchestryError } from '../errors.ts'
import type { GrantOf } from './capability.ts'
import { isOwnHeader, isPrintable } from './net-headers.ts'

/** The value of a secret by its name; undefined where there is none. */
export type SecretOf = (name: string) => string | undefined

export interface Injected {
  readonly headers: Readonly<Record<string, string>>
  /** Names of the headers that now hold a secret. */
  readonly secretHeaders: ReadonlySet<string>
  /** The text without the secrets that were put in. */
  hide(text: string): string
}

const scheme = 'secret://'
const usualHeader = 'authorization'

export function authProblems({ auth }: GrantOf<'net'>): string[] {
  if (auth === undefined) return []
  const header = auth.header ?? usualHeader
  return [
    ...(isOwnHeader(header) ? [`auth: the header ${header} cannot hold a secret; "authorization" can`] : []),
    ...(isPrintable(auth.prefix ?? '') ? [] : ['auth: the prefix holds characters that are not printable ASCII']),
  ]
}

/**
 * The headers with the grant's own secret (where `takesAuth`) and with those that the guest named as `secret://name`.
 *
 * @throws ORC_CAPABILITY_ARGUMENT when the guest sets the header of the grant's secret, ORC_CAPABILITY_DENIED for a secret
 * that may not be injected, ORC_CAPABILITY_FAILED for one that is not there; all of them name the secret, never its value.
 */
export function injectSecrets(
  given: Readonly<Record<string, string>>,
  options: {
    auth: GrantOf<'net'>['auth']
    takesAuth: boolean
    injectable: ReadonlySet<string> | undefined
    secretOf: SecretOf
  },
): Injected {
  const { auth, takesAuth, injectable, secretOf } = options
  const headers: Record<string, string> = { ...given }
  const values: string[] = []
  const secretHeaders = new Set<string>()
  const put = (header: string, secret: string, prefix = '') => {
    const value = requireSecret(secretOf, secret)
    headers[header] = `${prefix}${value}`
    secretHeaders.add(header)
    values.push(value)
  }
  for (const [header, value] of Object.entries(given)) {
    if (!value.startsWith(scheme)) continue
    const name = value.slice(scheme.length)
    if (injectable?.has(name) !== true)
      throw new OrchestryError(
        'ORC_CAPABILITY_DENIED',
        `ctx.net: the secret "${name.slice(0, 64)}" may not be injected: ` +
          `ask for it with { "kind": "secrets", "mode": "inject", "names": ["…"], "why": "…" }`,
      )
    put(header, name)
  }
  if (auth !== undefined) {
    const header = auth.header ?? usualHeader
    if (Object.hasOwn(given, header))
      throw new OrchestryError(
        'ORC_CAPABILITY_ARGUMENT',
        `ctx.net: the header ${header} is set by the host, from a secret ("auth" of the grant)`,
      )
    if (takesAuth) put(header, auth.secret, auth.prefix)
  }
  return { headers, secretHeaders, hide: hider(values) }
}

function requireSecret(secretOf: SecretOf, name: string): string {
  const fail = (what: string) => new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.net: the secret "${name}" ${what}`)
  const value = secretOf(name)
  if (value === undefined || value === '')
    throw fail(`is not there; set it with: orchestry secret set ${name}. Nothing was sent`)
  if (!isPrintable(value)) throw fail('holds characters that no header can hold. Nothing was sent')
  return value
}

/** Also as the other side may well give it back: in JSON, in a URL, in base64. */
function hider(values: readonly string[]): (text: string) => string {
  if (values.length === 0) return (text) => text
  const spellings = values.flatMap((value) => [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    Buffer.from(value).toString('base64').replace(/=+$/, ''),
  ])
  // The longest first, so that none is left over after a part of it was taken out.
  const ordered = [...new Set(spellings)].sort((a, b) => b.length - a.length)
  return (text) => ordered.reduce((rest, spelling) => rest.replaceAll(spelling, '***'), text)
}
