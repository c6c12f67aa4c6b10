/** One value as it lies in the store: AES-256-GCM, bound to its name, so that nobody can swap two of them. Pure but for chance. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

export interface Sealed {
  /** Base64. */
  readonly nonce: string
  /** Base64 of the encrypted value and, behind it, the tag. */
  readonly sealed: string
}

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16
const boundTo = (name: string) => Buffer.from(JSON.stringify(['orchestry.secret', 1, name]))

export function seal(key: Buffer, name: string, value: string): Sealed {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes }).setAAD(boundTo(name))
  const sealed = Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return { nonce: nonce.toString('base64'), sealed: sealed.toString('base64') }
}

/** Undefined when the key does not fit, or what was stored was changed. */
export function unseal(key: Buffer, name: string, { nonce, sealed }: Sealed): string | undefined {
  try {
    const bytes = Buffer.from(sealed, 'base64')
    const decipher = createDecipheriv(algorithm, key, Buffer.from(nonce, 'base64'), { authTagLength: tagBytes })
    decipher.setAAD(boundTo(name)).setAuthTag(bytes.subarray(-tagBytes))
    return Buffer.concat([decipher.update(bytes.subarray(0, -tagBytes)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}
