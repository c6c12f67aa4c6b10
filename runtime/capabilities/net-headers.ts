/** Which headers a plugin may send. */
import { OrchestryError } from '../errors.ts'

/** Headers that say where a message ends, where it goes or who sent it are the client's business. */
const ownHeaders =
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|content-length|upgrade|expect|forwarded|via|accept-encoding|x-forwarded-.*|x-real-ip|proxy-.*|sec-.*)$/
const mostHeaders = 64
export const headerBytes = 8 * 1024

export const isOwnHeader = (lowerCaseName: string): boolean => ownHeaders.test(lowerCaseName)
export const isPrintable = (value: string): boolean => /^[\x20-\x7e]*$/.test(value)

/** The headers under lower-case names. @throws ORC_CAPABILITY_ARGUMENT */
export function checkHeaders(given: Readonly<Record<string, string>>): Record<string, string> {
  const refuse = (why: string) => new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.net: ${why}`)
  const entries = Object.entries(given)
  if (entries.length > mostHeaders) throw refuse(`more than ${mostHeaders} headers`)
  let bytes = 0
  const headers = entries.map(([name, value]) => {
    const lower = name.toLowerCase()
    bytes += name.length + value.length + 4
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/.test(lower)) throw refuse(`"${name.slice(0, 64)}" is no header name`)
    if (isOwnHeader(lower)) throw refuse(`the header ${lower} is not the plugin's to set`)
    if (!isPrintable(value)) throw refuse(`the header ${lower} has characters that are not printable ASCII`)
    return [lower, value] as const
  })
  if (bytes > headerBytes) throw refuse(`the headers are larger than ${headerBytes / 1024} KB`)
  return Object.fromEntries(headers)
}
