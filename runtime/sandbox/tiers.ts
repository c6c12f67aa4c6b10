/** Finds out, by really starting something in it, which tiers this machine has, and picks one. */
import { existsSync, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { OrchestryError } from '../errors.ts'
import { escapeControls } from '../log.ts'
import { spawnConfined } from './confined-child.ts'
import {
  type Confinement,
  type ProcessProgram,
  withLimits,
  withNamespaces,
  withOwnUser,
  withoutConfinement,
} from './confinement.ts'
import { closedToOthers, type Machine, type ToolName } from './machine.ts'
import type { Tier } from './sandbox.ts'
import { seccompProgram } from './seccomp.ts'

export type WantedTier = 'best' | '3' | '2' | '1' | '0'

export type TierOption =
  | { readonly tier: Tier; readonly confinement: Confinement; readonly why?: undefined }
  | { readonly tier: Tier; readonly confinement?: undefined; readonly why: string }

const probeMs = 5_000
const lastWordsMs = 200
const maxComplaint = 4_096
const packages: Record<ToolName, string> = { bwrap: 'bubblewrap', setpriv: 'util-linux', prlimit: 'util-linux' }

/** Every tier, the strictest first. */
export async function findTiers(
  machine: Machine,
  program: ProcessProgram,
  nextUid: (() => number) | undefined,
): Promise<readonly TierOption[]> {
  const missing = (names: readonly ToolName[]) => {
    const absent = names.filter((name) => machine.tool(name) === undefined)
    const list = absent.map((name) => packages[name]).filter((name, index, all) => all.indexOf(name) === index)
    if (absent.length === 0) return undefined
    return `${absent.join(' and ')} ${absent.length === 1 ? 'is' : 'are'} not installed: apt install ${list.join(' ')}`
  }
  const noUid = 'no user id is free here: this user namespace has too few'
  const made = await Promise.all([
    option(machine, 3, async () => {
      const why = missing(['bwrap', 'prlimit', ...(machine.isRoot ? (['setpriv'] as const) : [])])
      if (why !== undefined) return why
      if (seccompProgram(machine.architecture) === undefined)
        return `the system calls of ${machine.architecture} are not known, only those of x64 and arm64`
      if (machine.isRoot && nextUid === undefined) return noUid
      const setpriv = machine.isRoot ? [machine.tool('setpriv') as string] : []
      const libraries = await machine.libraries([machine.node, program.addon, ...setpriv])
      return withNamespaces(machine, program, libraries, nextUid ?? (() => 0))
    }),
    option(machine, 2, async () => {
      if (!machine.isRoot) return 'only root can give a process a user of its own'
      const why = missing(['setpriv', 'prlimit'])
      if (why !== undefined) return why
      const lacking = (['setuid', 'setgid', 'setpcap', 'kill'] as const).filter((right) => !machine.has(right))
      if (lacking.length > 0)
        return `this root lacks ${lacking.map((right) => `CAP_${right.toUpperCase()}`).join(', ')}`
      const closed = closedToOthers(machine.node)
      if (closed !== undefined) return `another user could not run Node: ${closed} is closed to others`
      return nextUid === undefined ? noUid : withOwnUser(machine, program, nextUid)
    }),
    option(machine, 1, async () => missing(['prlimit']) ?? withLimits(machine, program)),
  ])
  return [...made, { tier: 0, confinement: withoutConfinement(program) }]
}

async function option(machine: Machine, tier: Tier, make: () => Promise<Confinement | string>): Promise<TierOption> {
  if (process.platform !== 'linux') return { tier, why: 'it needs Linux' }
  const made = await make().catch((thrown: unknown) => String(thrown))
  const why = typeof made === 'string' ? made : await probeOnce(machine, made)
  return why === undefined ? { tier, confinement: made as Confinement } : { tier, why }
}

/** What a machine can do does not change while we run. */
const probed = new Map<string, Promise<string | undefined>>()

function probeOnce({ isRoot, node }: Machine, confinement: Confinement): Promise<string | undefined> {
  const key = `${confinement.tier} ${isRoot} ${node}`
  const known = probed.get(key) ?? probe(confinement)
  probed.set(key, known)
  return known
}

/** Undefined when Node ran to its end; otherwise what kept it from that, in words. */
export async function probe(confinement: Confinement): Promise<string | undefined> {
  const child = spawnConfined(confinement.probe)
  const complaint = readAll(child.errors)
  child.output.resume()
  const timer = setTimeout(() => child.kill(), probeMs)
  const how = await new Promise<string>((resolve) => child.onExit(resolve))
  clearTimeout(timer)
  child.channel.destroy()
  setTimeout(() => child.errors.destroy(), lastWordsMs).unref()
  return how === 'exit code 0' ? undefined : explain(await complaint, how)
}

/** What is written last can come in after the end of who wrote it. */
function readAll(stream: Readable): Promise<string> {
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    if (text.length < maxComplaint) text += chunk.toString('latin1')
  })
  return new Promise((resolve) => stream.on('close', () => resolve(text)))
}

const sysctl = (name: string): string | undefined => {
  const path = `/proc/sys/${name}`
  return existsSync(path) ? readFileSync(path, 'latin1').trim() : undefined
}

function explain(complaint: string, how: string): string {
  const said = escapeControls(complaint.trim().split('\n')[0]?.slice(0, 200) ?? '')
  if (!/namespace|uid map|NEWNS|make \/ slave/i.test(said))
    return said === '' ? `Node did not start in it (${how})` : said
  if (process.geteuid?.() === 0)
    return `this root may not make namespaces (${said}); in a container they take --cap-add SYS_ADMIN or another seccomp profile`
  if (sysctl('kernel/unprivileged_userns_clone') === '0')
    return 'user namespaces are switched off (sysctl kernel.unprivileged_userns_clone=1 switches them on)'
  if (sysctl('user/max_user_namespaces') === '0')
    return 'user namespaces are switched off (sysctl user.max_user_namespaces)'
  if (sysctl('kernel/apparmor_restrict_unprivileged_userns') === '1')
    return 'AppArmor keeps users from making namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns, or a profile for bwrap)'
  return `this user may not make namespaces (${said})`
}

/** The strictest there is, or the one asked for. Throws ORC_SANDBOX_UNAVAILABLE when that one cannot be had. */
export function chooseTier(wanted: WantedTier, options: readonly TierOption[]): Confinement {
  const found = options.find(({ tier, confinement }) =>
    wanted === 'best' ? confinement !== undefined : tier === Number(wanted),
  )
  if (found?.confinement !== undefined) return found.confinement
  throw new OrchestryError(
    'ORC_SANDBOX_UNAVAILABLE',
    `ORCHESTRY_SANDBOX_TIER (or its flag) asks for tier ${wanted}, which cannot be had: ${found?.why ?? 'there is none'}. ` +
      `Mend that, or ask for "best", which is tier ${options.find(({ confinement }) => confinement)?.tier} here.`,
  )
}
