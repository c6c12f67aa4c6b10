/**
 * Lets a plugin have secrets: to be put by the host where it names them (`inject`), which is done where requests are sent, or
 * to read them (`reveal`), which is done here.
 */
import * as Type from 'typebox'
import { OrchestryError } from '../errors.ts'
import { secretNameProblems } from '../secret-name.ts'
import { argumentsOf } from './arguments.ts'
import type { Capability } from './capability.ts'
import type { SecretOf } from './net-auth.ts'

const readGet = argumentsOf('secrets.get', Type.String())

export function createSecretsCapability(deps: { secretOf: SecretOf }): Capability<'secrets'> {
  return {
    kind: 'secrets',
    check: ({ names }) => secretNameProblems('names', names),

    narrow(grant, targets) {
      const names = grant.names.filter((name) => targets.includes(targetOf(name)))
      return names.length === 0 ? undefined : { ...grant, names }
    },

    use({ names, mode }, caller) {
      const granted = new Set(names)
      return {
        operations: {
          get(args) {
            const [name] = readGet(args)
            // Both are always looked up, and told alike: what others call their secrets does not leak.
            const value = deps.secretOf(name)
            const isAllowed = granted.has(name) && mode === 'reveal' && value !== undefined
            caller.onUse?.('get', targetOf(name), isAllowed)
            if (mode === 'inject') throw denied(forInjection)
            if (!isAllowed) throw denied(`there is no secret ${shown(name)} that this plugin may read`)
            return value
          },
        },
      }
    },
  }
}

const forInjection =
  'the grant is "mode": "inject": write secret://NAME as the whole value of a header, and the host puts the secret there; ' +
  'to read a secret, "mode": "reveal" must be granted'
const shown = (name: string) => JSON.stringify(name.slice(0, 64))
const targetOf = (name: string) => `get ${name.slice(0, 64)}`
const denied = (what: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.secrets: ${what}`)
