/** Lets a plugin send granted commands about granted keys to one Redis server. */
import type { RedisReply } from '@orchestry/sdk'
import * as Type from 'typebox'
import { codeOf, messageOf, OrchestryError } from '../errors.ts'
import type { Invocation } from '../sandbox/sandbox.ts'
import { argumentsOf } from './arguments.ts'
import { timeLeft } from './call-time.ts'
import type { Caller, Capability, GrantOf } from './capability.ts'
import type { SecretOf } from './net-auth.ts'
import { allowedBy, type Outside } from './outside.ts'
import { createRedisClient, type RedisOutcome } from './redis-client.ts'
import {
  type AllowedCommand,
  matchCommand,
  narrowRedis,
  type RedisRule,
  type RedisServer,
  readRedisRule,
  readServer,
  secretNameOf,
} from './redis-rule.ts'
import { resolveAllowed } from './resolve.ts'
import { createInFlight } from './slots-in-flight.ts'

const atOnce = 16
const waitingMost = 256
const longestMs = 5_000
const argumentBytes = 256 * 1024

const Command = Type.Array(Type.Union([Type.String(), Type.Number()]), { minItems: 1, maxItems: 1_024 })
type Command = Type.Static<typeof Command>
const readCommand = argumentsOf('redis.command', Command)
const readPipeline = argumentsOf('redis.pipeline', Type.Array(Command, { minItems: 1, maxItems: 128 }))

interface Deps extends Outside {
  readonly secretOf: SecretOf
}

export function createRedisCapability(deps: Deps): Capability<'redis'> {
  return {
    kind: 'redis',
    check(grant) {
      const problems: string[] = []
      readRedisRule(grant, problems)
      return problems
    },
    narrow: narrowRedis,
    use(grant, caller) {
      const rule = readRedisRule(grant, [])
      const client = createRedisClient({
        server: () => serverOf(grant, deps.secretOf),
        resolve: (server) => addressesOf(server, rule, deps),
        replyBytes: rule.replyBytes,
        clock: deps.clock,
      })
      const inFlight = createInFlight(atOnce, waitingMost, 'ctx.redis')
      const send = (commands: readonly AllowedCommand[], invocation: Invocation) =>
        inFlight.run(async () => {
          const timeoutMs = timeLeft('ctx.redis', invocation, deps.clock, longestMs)
          const outcomes = await client.send(
            commands.map(({ argv }) => argv),
            timeoutMs,
          )
          return outcomes.map((outcome, index) => granted(outcome, commands[index]))
        })

      return {
        operations: {
          async command(args, invocation) {
            const [given] = readCommand([args])
            checkSize([given])
            const command = allow('command', given, rule, caller)
            const [outcome] = await send([command], invocation)
            if (outcome === undefined || 'error' in outcome) throw outcome?.error
            return outcome.reply
          },
          async pipeline(args, invocation) {
            const [given] = readPipeline(args)
            checkSize(given)
            const checked = given.map((command) => {
              try {
                return allow('pipeline', command, rule, caller)
              } catch (thrown) {
                if (codeOf(thrown) === 'ORC_CAPABILITY_DENIED') caller.onDenied?.('pipeline', messageOf(thrown))
                return { error: thrown as OrchestryError }
              }
            })
            const allowed = checked.filter((one) => 'argv' in one)
            const outcomes = allowed.length === 0 ? [] : await send(allowed, invocation)
            return checked.map((one) => shown('argv' in one ? outcomes.shift() : one))
          },
        },
        dispose: () => client.close(),
      }
    },
  }
}

function serverOf(grant: GrantOf<'redis'>, secretOf: SecretOf): RedisServer {
  const name = secretNameOf(grant.url)
  const text = name === undefined ? grant.url : secretOf(name)
  if (text === undefined)
    throw new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.redis: there is no secret "${name}" that holds the URL`)
  const server = readServer(text)
  if (typeof server === 'string') throw new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.redis: the URL ${server}`)
  return server
}

/** The host of a URL that is a secret is one too: errors go without it. */
async function addressesOf(server: RedisServer, rule: RedisRule, deps: Deps) {
  try {
    return await resolveAllowed('ctx.redis', server, allowedBy(rule.addresses, deps), deps.resolve)
  } catch (thrown) {
    throw new OrchestryError(codeOf(thrown), messageOf(thrown).replaceAll(server.host, 'the server'))
  }
}

function checkSize(commands: readonly Command[]): void {
  const bytes = commands.flat().reduce<number>((sum, word) => sum + Buffer.byteLength(String(word)), 0)
  if (bytes <= argumentBytes) return
  throw new OrchestryError(
    'ORC_CAPABILITY_LIMIT',
    `ctx.redis: the arguments are larger than ${argumentBytes / 1024} KB; nothing was sent`,
  )
}

function allow(operation: string, given: Command, rule: RedisRule, caller: Caller): AllowedCommand {
  const words = given.map(String)
  // Half a surrogate pair would be sent as another character than the one that was checked.
  if (!words.every((word) => word.isWellFormed()))
    throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', 'ctx.redis: an argument is no valid Unicode text')
  try {
    const command = matchCommand(rule, words)
    for (const target of command.targets) caller.onUse?.(operation, target, true)
    return command
  } catch (thrown) {
    if (codeOf(thrown) === 'ORC_CAPABILITY_DENIED')
      caller.onUse?.(operation, words.slice(0, 2).join(' ').slice(0, 100), false)
    throw thrown
  }
}

/** The MATCH of a SCAN was ours; that the server kept to it is looked at all the same. */
function granted(outcome: RedisOutcome, command: AllowedCommand | undefined): RedisOutcome {
  const isGrantedKey = command?.isGrantedKey
  if ('error' in outcome || isGrantedKey === undefined) return outcome
  const [cursor, keys] = Array.isArray(outcome.reply) ? outcome.reply : []
  const isKey = (key: RedisReply) => typeof key === 'string' && isGrantedKey(key)
  return { reply: [cursor ?? '0', Array.isArray(keys) ? keys.filter(isKey) : []] }
}

function shown(outcome: RedisOutcome | undefined) {
  if (outcome !== undefined && 'reply' in outcome) return { ok: true, reply: outcome.reply }
  return { ok: false, code: codeOf(outcome?.error), message: messageOf(outcome?.error) }
}
