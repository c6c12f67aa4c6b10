/** What an operator agrees to, and how a plugin that asks for more is told to wait. */
import type { CapabilityKind, CapabilityRecord, Manifest } from '@orchestry/sdk'
import { OrchestryError, type Problem } from '../errors.ts'
import { resolveGrants } from './grants.ts'
import type { InstanceRecord, LockEntry, PendingVersion } from './plugins.ts'
import { problemsText } from './problems.ts'
import { descriptive, widening } from './widening.ts'

/** Kinds that reach nothing but Orchestry's own bookkeeping: installing a plugin is agreeing to them. */
const harmless: ReadonlySet<CapabilityKind> = new Set([
  'kv',
  'log',
  'clock',
  'random',
  'timers',
  'events',
  'metrics',
  'apps',
  'crypto',
])

function isHarmless(record: CapabilityRecord): boolean {
  if (record.kind === 'apps') return record.scale === undefined
  if (record.kind === 'crypto') return record.keys === undefined
  return harmless.has(record.kind)
}

/** What a first installation needs a yes for, each with the author's reason. Paths point into package.json. */
export function askedOf({ capabilities = [], limits }: Manifest): Problem[] {
  const asked = capabilities.flatMap((record, index) =>
    isHarmless(record) ? [] : [{ path: `/orchestry/capabilities/${index}`, message: recordText(record) }],
  )
  return limits?.jit === undefined
    ? asked
    : [...asked, { path: '/orchestry/limits/jit', message: `machine code made at run time (JIT): ${limits.jit.why}` }]
}

function recordText(record: CapabilityRecord): string {
  const scope = Object.entries(record).filter(([field]) => !descriptive.has(field))
  const fields = [record.kind, ...scope.map(([field, value]) => `${field} ${JSON.stringify(value)}`)].join(' ')
  const text = [fields, ...inWords(record)].join('; ')
  return record.why === undefined ? text : `${text}: ${record.why}`
}

/** What is not to be overlooked among the fields. */
function inWords(record: CapabilityRecord): string[] {
  const commands = record.kind === 'exec' ? record.commands : []
  const servers = commands.flatMap(({ name, daemon }) => (daemon === undefined ? [] : [name]))
  const own = commands.flatMap(({ name, workingDir }) => (workingDir === undefined ? [] : [name]))
  return [
    ...(servers.length === 0 ? [] : [`leaves running, until it is disabled: ${servers.join(', ')}`]),
    ...(own.length === 0 ? [] : [`what the plugin writes into its own directory, these read: ${own.join(', ')}`]),
  ]
}

/** What the operator agreed to for an instance; tightening takes away, it does not take back. */
export const agreedOf = ({ agreed, grants }: InstanceRecord): readonly CapabilityRecord[] => agreed ?? grants

/**
 * What the next version is to have beyond what was agreed to. What the operator wrote into the config is agreed to as well:
 * what the old records would have become with it counts. A default of the new version is not the operator's word.
 */
export function widerThanAgreed(before: LockEntry, next: Pick<LockEntry, 'manifest' | 'instances' | 'isJitGranted'>) {
  const jit = next.isJitGranted && !before.isJitGranted ? ['machine code made at run time (JIT)'] : []
  // Without an instance nothing is resolved yet: then the records themselves are compared.
  if (next.instances.length === 0)
    return [...widening(before.manifest.capabilities ?? [], next.manifest.capabilities ?? []), ...jit]
  return [...widerGrants(before, next.instances, []), ...jit]
}

/** What a version that was approved is to have beyond what was shown: its defaults and its programs may be others by now. */
export function widerThanShown(
  before: LockEntry,
  shown: NonNullable<PendingVersion['instances']>,
  next: Pick<LockEntry, 'instances'>,
): string[] {
  return widerGrants(before, next.instances, shown)
}

function widerGrants(
  before: LockEntry,
  next: readonly InstanceRecord[],
  shown: NonNullable<PendingVersion['instances']>,
): string[] {
  const asked = before.manifest.capabilities ?? []
  const anyCheck = { kinds: asked.map(({ kind }) => kind), check: () => [], checkTogether: () => [] }
  const wider = next.flatMap(({ name, given, grants }) => {
    const had = before.instances.find((instance) => instance.name === name)
    const also = shown.find((instance) => instance.name === name)?.grants ?? []
    const ofConfig = resolveGrants(asked, given, anyCheck).grants
    return widening([...(had ? agreedOf(had) : []), ...ofConfig, ...also], grants)
  })
  return [...new Set(wider)]
}

/** With the programs that were agreed to: a new config is no yes to one that was changed on the disk since. */
export function withAgreedPrograms(next: InstanceRecord, had: readonly InstanceRecord[]): InstanceRecord {
  const ownLast = [...had].sort((a, b) => Number(a.name === next.name) - Number(b.name === next.name))
  const digests = new Map(
    ownLast
      .flatMap(agreedOf)
      .flatMap((grant) => (grant.kind === 'exec' ? grant.commands : []))
      .flatMap(({ path, digest }) => (digest === undefined ? [] : [[path, digest] as const])),
  )
  const grants = next.grants.map((grant): CapabilityRecord => {
    if (grant.kind !== 'exec') return grant
    const commands = grant.commands.map((command) => {
      const digest = digests.get(command.path)
      return digest === undefined ? command : { ...command, digest }
    })
    return { ...grant, commands }
  })
  return { ...next, grants }
}

/**
 * The grants with the programs as they are on the disk now, or undefined where they are those that were agreed to. A digest
 * that the author wrote into the manifest stays: another program is not what that version was made for.
 */
export async function withPresentPrograms(
  record: InstanceRecord,
  asked: readonly CapabilityRecord[],
  pin: (grant: CapabilityRecord) => Promise<CapabilityRecord>,
): Promise<InstanceRecord | undefined> {
  const written = asked
    .flatMap((one) => (one.kind === 'exec' ? one.commands : []))
    .flatMap(({ digest }) => digest ?? [])
  const renew = (grants: readonly CapabilityRecord[]) =>
    Promise.all(grants.map((grant) => pin(withoutDigests(grant, new Set(written)))))
  const grants = await renew(record.grants)
  const agreed = record.agreed === undefined ? undefined : await renew(record.agreed)
  const isSame = JSON.stringify([grants, agreed]) === JSON.stringify([record.grants, record.agreed])
  return isSame ? undefined : { ...record, grants, ...(agreed === undefined ? {} : { agreed }) }
}

function withoutDigests(grant: CapabilityRecord, kept: ReadonlySet<string>): CapabilityRecord {
  if (grant.kind !== 'exec') return grant
  const commands = grant.commands.map((command) => {
    if (command.digest === undefined || kept.has(command.digest)) return command
    const { digest: _digest, ...rest } = command
    return rest
  })
  return { ...grant, commands }
}

export function consentNeededFirst(id: string, asked: readonly Problem[]): OrchestryError {
  return new OrchestryError(
    'ORC_PLUGIN_CONSENT_NEEDED',
    `${id} asks for what is only given on purpose: ${problemsText(asked)} To agree, install it with --yes (in the API: ` +
      `"grants": "asked"). Nothing was installed.`,
    { problems: asked },
  )
}

export function consentNeeded(id: string, version: string, before: string, wider: readonly string[]): OrchestryError {
  const problems = wider.map((message) => ({ path: '/orchestry/capabilities', message }))
  return new OrchestryError(
    'ORC_PLUGIN_CONSENT_NEEDED',
    `${id} ${version} asks for more than was granted to ${before}: ${wider.slice(0, 8).join('; ')}. ${before} serves on, ` +
      `and ${version} waits. To agree: orchestry plugin approve ${id}`,
    { problems },
  )
}
