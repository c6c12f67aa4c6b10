/** Lets a plugin hash and sign: done in the host, where the keys stay, and bounded in size and number. */
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto'
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { createPace } from '../pace.ts'
import { secretNameProblems } from '../secret-name.ts'
import { argumentsOf, maybe } from './arguments.ts'
import type { Capability, GrantOf } from './capability.ts'
import type { SecretOf } from './net-auth.ts'

type Op = GrantOf<'crypto'>['ops'][number]

const dataBytes = 256 * 1024
const randomBytesMost = 1_024
/** Operations a second of one plugin instance; data counts for one more with each block of it, as it costs the host's time. */
const perSecond = 200
const blockBytes = 16 * 1024

const Algorithm = Type.Union([Type.Literal('sha256'), Type.Literal('sha384'), Type.Literal('sha512')])
const Encoding = maybe(Type.Union([Type.Literal('utf8'), Type.Literal('base64')]))
const readHash = argumentsOf('crypto.hash', Algorithm, Type.String(), Encoding)
const readHmac = argumentsOf('crypto.hmac', Algorithm, Type.String(), Type.String(), Encoding)
const readRandomBytes = argumentsOf('crypto.randomBytes', Type.Integer({ minimum: 1 }))
const readRandomUuid = argumentsOf('crypto.randomUuid')

export function createCryptoCapability(deps: {
  clock: Pick<Clock, 'monotonic'>
  secretOf: SecretOf
}): Capability<'crypto'> {
  return {
    kind: 'crypto',
    check({ ops, keys = [] }) {
      const isKeyed = ops.includes('hmac')
      return [
        ...secretNameProblems('keys', keys),
        ...(isKeyed && keys.length === 0 ? ['ops: "hmac" needs keys: the names of the secrets that it may use'] : []),
        ...(!isKeyed && keys.length > 0 ? ['keys: they are of use only with "hmac" in ops'] : []),
      ]
    },

    narrow(grant, targets) {
      const used = targets.map((target) => target.split(' '))
      const ops = grant.ops.filter((op) => used.some(([name]) => name === op))
      const keys = (grant.keys ?? []).filter((key) => used.some(([name, , last]) => name === 'hmac' && last === key))
      // A grant for hmac without a key would be none; then nothing is known that could be left out.
      if (ops.length === 0 || (ops.includes('hmac') && keys.length === 0)) return undefined
      const { keys: _keys, ...kept } = grant
      return { ...kept, ops, ...(keys.length === 0 ? {} : { keys }) }
    },

    use({ ops, keys = [] }, caller) {
      const granted = new Set(keys)
      const { clock, secretOf } = deps
      const pace = createPace({ most: perSecond, perMs: 1_000 }, clock.monotonic())

      /** Tells of the use, and throws unless the operation is granted and what it is about `isAllowed`. */
      function admit(op: Op, target: string, { isAllowed = true, bytes = 0, refusal = '' } = {}): void {
        const isOpGranted = ops.includes(op)
        caller.onUse?.(op, target, isOpGranted && isAllowed)
        if (!isOpGranted) throw denied(`"${op}" is not among the granted ops (${ops.join(', ')})`)
        if (!isAllowed) throw denied(refusal)
        if (pace.take(clock.monotonic(), 1 + Math.floor(bytes / blockBytes)) > 0)
          throw limit(`more than ${perSecond} operations a second; of data, each ${blockBytes / 1024} KB are one more`)
      }

      return {
        operations: {
          hash(args) {
            const [algorithm, text, encoding] = readHash(args)
            const data = bytesOf(text, encoding)
            admit('hash', `hash ${algorithm}`, { bytes: data.length })
            return createHash(algorithm).update(data).digest('hex')
          },

          hmac(args) {
            const [algorithm, key, text, encoding] = readHmac(args)
            const data = bytesOf(text, encoding)
            // Both are always looked up, and told alike: what others call their secrets does not leak.
            const value = secretOf(key)
            const isAllowed = granted.has(key) && value !== undefined
            const name = key.slice(0, 64)
            const refusal = `there is no secret ${JSON.stringify(name)} that this plugin may use as a key`
            admit('hmac', `hmac ${algorithm} ${name}`, { isAllowed, bytes: data.length, refusal })
            return createHmac(algorithm, value ?? '')
              .update(data)
              .digest('hex')
          },

          randomBytes(args) {
            const [count] = readRandomBytes(args)
            admit('randomBytes', 'randomBytes')
            if (count > randomBytesMost) throw limit(`at most ${randomBytesMost} random bytes at once, not ${count}`)
            return randomBytes(count).toString('base64')
          },

          randomUuid(args) {
            readRandomUuid(args)
            admit('randomUuid', 'randomUuid')
            return randomUUID()
          },
        },
      }
    },
  }
}

function bytesOf(text: string, encoding: 'utf8' | 'base64' | null): Buffer {
  const isBase64 = encoding === 'base64'
  const size = isBase64 ? Math.floor((text.length * 3) / 4) : Buffer.byteLength(text)
  if (size > dataBytes + 2) throw limit(`the data is larger than ${dataBytes / 1024} KB`)
  const data = Buffer.from(text, encoding ?? 'utf8')
  if (data.length > dataBytes) throw limit(`the data is larger than ${dataBytes / 1024} KB`)
  // Node skips what is no base64; the plugin would get the hash of something else.
  if (isBase64 && data.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, ''))
    throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', 'ctx.crypto: the data is not base64')
  return data
}

const denied = (what: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.crypto: ${what}`)
const limit = (what: string) => new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.crypto: ${what}`)
