/** What one `redis` record allows, decided on the command as it will be sent. Pure. */
import { OrchestryError } from '../errors.ts'
import { type AddressGrant, readAddressGrant } from './addresses.ts'
import type { GrantOf } from './capability.ts'
import { keysAmong, shapeOf } from './redis-commands.ts'

export interface RedisRule {
  readonly commands: ReadonlySet<string>
  readonly prefixes: readonly string[]
  readonly addresses: AddressGrant
  readonly replyBytes: number
}

export interface RedisServer {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  readonly username?: string
  readonly password?: string
  readonly database: number
}

/** A command that may be sent, and what it is told as: `GET queue:` names the granted prefix, not the key. */
export interface AllowedCommand {
  readonly argv: readonly string[]
  readonly targets: readonly string[]
  /** For SCAN: which of the keys it found may be told. */
  readonly isGrantedKey?: (key: string) => boolean
}

const defaultReplyKb = 256
const secretUrl = /^secret:\/\/([A-Za-z0-9._-]{1,64})$/
const most = { countOfScan: 1_000 }

/** Reads a resolved record; what is wrong with it goes to `problems`. */
export function readRedisRule(grant: GrantOf<'redis'>, problems: string[]): RedisRule {
  const addresses = grant.addresses ?? ['public']
  if (addresses.includes('instances'))
    problems.push('addresses: "instances" has no meaning for redis, whose one server stands in "url"')
  const commands = grant.commands.map((name) => name.toUpperCase())
  for (const [index, name] of commands.entries())
    if (shapeOf(name) === undefined)
      problems.push(
        `commands: "${grant.commands[index]}" cannot be granted; only commands whose keys can be checked and that leave the server as it is`,
      )
  for (const prefix of grant.keys) {
    if (prefix.includes('*')) problems.push(`keys: "${prefix}" holds a star; these are prefixes already, like "queue:"`)
    else if (!prefix.isWellFormed()) problems.push('keys: a prefix is no valid Unicode text')
  }
  if (secretNameOf(grant.url) === undefined) {
    const server = readServer(grant.url)
    if (typeof server === 'string') problems.push(`url: ${server}`)
    else if (server.username !== undefined || server.password !== undefined)
      problems.push('url: must not hold a user or password; keep the whole URL as a secret and name it: secret://name')
  }
  return {
    commands: new Set(commands),
    prefixes: grant.keys,
    addresses: readAddressGrant(addresses, problems),
    replyBytes: (grant.maxReplyKb ?? defaultReplyKb) * 1024,
  }
}

/** The secret that holds the URL, where the record names one. */
export const secretNameOf = (url: string): string | undefined => secretUrl.exec(url)?.[1]

/** In words what is wrong; never the text itself, which may hold a password. */
export function readServer(text: string): RedisServer | string {
  const wanted = 'write redis://host:port/db, rediss://… or secret://name'
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:')) return `is no Redis URL; ${wanted}`
  const database = /^\/?$/.test(url.pathname) ? 0 : Number(/^\/(\d{1,4})$/.exec(url.pathname)?.[1] ?? Number.NaN)
  if (Number.isNaN(database) || url.search !== '' || url.hash !== '')
    return `has more behind the host than the number of a database; ${wanted}`
  // Of an unusual scheme the host is left as it was written; as that of http it has the one spelling that is checked.
  const host = URL.parse(`http://${url.hostname}/`)
    ?.hostname.replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
  if (host === undefined || host === '') return `names no host; ${wanted}`
  const [username, password] = [decode(url.username), decode(url.password)]
  if (username === undefined || password === undefined) return 'has a user or password that is not URL-encoded'
  return {
    host,
    port: url.port === '' ? 6379 : Number(url.port),
    isTls: url.protocol === 'rediss:',
    database,
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Throws ORC_CAPABILITY_DENIED for what is not granted, ORC_CAPABILITY_ARGUMENT for what is no such command. */
export function matchCommand(rule: RedisRule, given: readonly string[]): AllowedCommand {
  const name = (given[0] ?? '').toUpperCase()
  const args = given.slice(1)
  // Both: what was granted once must stay refused when it is found out to be dangerous and leaves the table.
  const shape = rule.commands.has(name) ? shapeOf(name) : undefined
  if (shape === undefined) throw denied(`${shown(name)} is not granted (${[...rule.commands].join(', ')})`)
  const [word = ''] = args
  const isFit = args.length >= shape.least && args.length <= shape.most
  if (
    !isFit ||
    (args.length > 0 && shape.words?.test(word) === false) ||
    (shape.keys === 'odd' && args.length % 2 === 1)
  )
    throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.redis: these are not the arguments of ${name}`)
  if (shape.keys === 'pattern') return matchScan(rule, args)
  const keys = keysAmong(shape, args)
  const targets = new Set(keys.length === 0 ? [name] : keys.map((key) => `${name} ${prefixOf(rule, key, name)}`))
  return { argv: [name, ...args], targets: [...targets] }
}

function prefixOf(rule: RedisRule, key: string, name: string): string {
  const fitting = rule.prefixes.filter((prefix) => key.startsWith(prefix))
  if (fitting.length === 0)
    throw denied(`${name}: the key ${shown(key)} does not begin with a granted prefix (${rule.prefixes.join(', ')})`)
  return fitting.reduce((longest, prefix) => (prefix.length > longest.length ? prefix : longest))
}

/** SCAN goes through all keys there are, so what it may find is written into it, and looked at again in its answer. */
function matchScan(rule: RedisRule, args: readonly string[]): AllowedCommand {
  const [cursor = '0', ...rest] = args
  const options = new Map<string, string>()
  for (let index = 0; index < rest.length; index += 2) {
    const [option = '', value] = [rest[index]?.toUpperCase(), rest[index + 1]]
    if (!['MATCH', 'COUNT', 'TYPE'].includes(option) || value === undefined || options.has(option))
      throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', 'ctx.redis: SCAN takes a cursor, MATCH, COUNT and TYPE')
    options.set(option, value)
  }
  const count = Number(options.get('COUNT') ?? 10)
  if (!Number.isInteger(count) || count < 1 || count > most.countOfScan)
    throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.redis: COUNT of SCAN is 1 to ${most.countOfScan}`)
  const [only, second] = rule.prefixes
  const pattern = options.get('MATCH') ?? (second === undefined && only !== undefined ? `${escapeGlob(only)}*` : '')
  if (pattern === '')
    throw denied(`SCAN needs a MATCH that begins with one of the granted prefixes (${rule.prefixes.join(', ')})`)
  const begin = /^(?:[^*?[\]\\]|\\.)*/s.exec(pattern)?.[0].replace(/\\(.)/gs, '$1') ?? ''
  const prefix = prefixOf(rule, begin, 'SCAN')
  const type = options.get('TYPE')
  return {
    argv: ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(count), ...(type === undefined ? [] : ['TYPE', type])],
    targets: [`SCAN ${prefix}`],
    isGrantedKey: (key) => rule.prefixes.some((granted) => key.startsWith(granted)),
  }
}

const escapeGlob = (text: string) => text.replace(/[*?[\]\\]/g, '\\$&')
const shown = (text: string) => JSON.stringify(text.slice(0, 64))
const denied = (why: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.redis: ${why}`)

/** The narrowest record that allows these targets. Pure. */
export function narrowRedis(grant: GrantOf<'redis'>, targets: readonly string[]): GrantOf<'redis'> {
  const used = targets.map((target) => {
    const space = target.indexOf(' ')
    return space === -1 ? { command: target } : { command: target.slice(0, space), prefix: target.slice(space + 1) }
  })
  const commands = grant.commands.filter((name) => used.some(({ command }) => command === name.toUpperCase()))
  const keys = grant.keys.filter((prefix) => used.some((one) => one.prefix === prefix))
  return {
    ...grant,
    commands: commands.length === 0 ? grant.commands : commands,
    keys: keys.length === 0 ? grant.keys : keys,
  }
}
