/**
 * The other names that a spec may use: those of the system that Orchestry follows, and those that people bring from Kubernetes.
 * They are rewritten before validation; a value keeps the place where it was written, so errors point at the user's own words. Pure.
 */
import { escapePointer, type Problem } from '../errors.ts'
import { rewriteContainer } from './container-aliases.ts'
import { render } from './explain.ts'
import { type Field, findIn, type Mapping, type Place, plainOf, splitPointer, type Tree } from './tree.ts'

/** Accepted name → the name it stands for, as JSON pointers. */
export const aliases: Readonly<Record<string, string>> = {
  '/spec/environment': '/spec/env',
  '/spec/replicas': '/scaling/replicas',
  '/spec/volumeMounts': '/spec/volumes',
  '/spec/securityContext': '/spec/security',
  '/spec/user': '/spec/security/runAsUser',
  '/spec/runAsUser': '/spec/security/runAsUser',
  '/spec/read_only': '/spec/security/readOnlyRootFilesystem',
  '/spec/readOnlyRootFilesystem': '/spec/security/readOnlyRootFilesystem',
  '/spec/capabilities': '/spec/security/capabilities',
  '/spec/terminationGracePeriodSeconds': '/rollout/stopGraceSeconds',
  '/spec/minReadySeconds': '/rollout/minReadySeconds',
  '/spec/progressDeadlineSeconds': '/rollout/progressDeadlineSeconds',
  '/spec/termination/drainSeconds': '/rollout/drainSeconds',
  '/spec/termination/gracePeriodSeconds': '/rollout/stopGraceSeconds',
  '/spec/termination/terminationGracePeriodSeconds': '/rollout/stopGraceSeconds',
  '/termination/drainSeconds': '/rollout/drainSeconds',
  '/termination/gracePeriodSeconds': '/rollout/stopGraceSeconds',
  '/termination/terminationGracePeriodSeconds': '/rollout/stopGraceSeconds',
  '/scaling/targetRPSPerReplica': '/scaling/targets/rpsPerReplica',
  '/scaling/maxP95LatencyMs': '/scaling/targets/latencyP95Ms',
  '/scaling/maxConnPerReplica': '/scaling/targets/connectionsPerReplica',
  '/scaling/maxCPUPercent': '/scaling/targets/cpuPercent',
  '/scaling/targetCPUUtilizationPercentage': '/scaling/targets/cpuPercent',
  '/scaling/maxMemoryPercent': '/scaling/targets/memoryPercent',
  '/scaling/targetMemoryUtilizationPercentage': '/scaling/targets/memoryPercent',
  '/scaling/stabilizationWindowSeconds': '/scaling/behavior/scaleIn/stabilizationWindowSeconds',
  '/scaling/behavior/scaleUp': '/scaling/behavior/scaleOut',
  '/scaling/behavior/scaleDown': '/scaling/behavior/scaleIn',
  '/scaling/maxScaleOutStep': '/scaling/behavior/scaleOut/policies',
  '/scaling/maxScaleInStep': '/scaling/behavior/scaleIn/policies',
}

/** A largest step per decision becomes a limit per this period, Kubernetes' own for its policies. */
const stepPeriodSeconds = 15
const zeroMeansOff = new Set(['/scaling/targetRPSPerReplica', '/scaling/maxP95LatencyMs', '/scaling/maxConnPerReplica'])
/** Sections that may stand there empty, as they do when all their lines are commented out. */
const sections = [
  '/metadata/labels',
  '/spec/env',
  '/spec/ports',
  '/spec/resources',
  '/spec/volumes',
  '/spec/security',
  '/ingress',
  '/scaling',
  '/scaling/targets',
  '/scaling/behavior',
  '/rollout',
]
/** Texts that YAML reads as numbers or booleans: `value: 8080` means the text 8080, as it is written. */
const texts = [
  '/metadata/name',
  '/spec/env/*/value',
  '/spec/command/*',
  '/spec/args/*',
  '/spec/security/runAsUser',
  '/metadata/labels/*',
  '/healthCheck/headers/*',
]

/**
 * Rewrites `tree` in place; returns what cannot be rewritten.
 * With `areNullsKept` a null, and a 0 that means off, stays as null: in a partial change it takes a field away.
 */
export function rewriteAliases(tree: Tree, options: { areNullsKept?: boolean } = {}): Problem[] {
  if (tree.kind !== 'mapping') return []
  const problems: Problem[] = []
  if (!options.areNullsKept) for (const path of sections) dropWhere(tree, path, ({ node }) => isNull(node))
  for (const [from, to] of Object.entries(aliases)) {
    const field = takeOut(tree, from)
    if (!field) continue
    const isOff = field.node.kind === 'leaf' && field.node.value === 0 && zeroMeansOff.has(from)
    if (isOff && !options.areNullsKept) continue
    if (isOff) field.node = { kind: 'leaf', at: field.node.at, value: null, text: '' }
    if (from.endsWith('Step')) field.node = stepPolicies(field.node)
    putIn(tree, field, from, to, problems)
  }
  for (const path of ['/spec/termination', '/termination']) moveRest(tree, path, '/rollout', problems)
  dropWhere(tree, '/spec/type', ({ node }) => node.kind === 'leaf' && node.value === 'http')
  dropWhere(tree, '/spec/restartPolicy', ({ node }) => node.kind === 'leaf' && node.value === 'Always')
  refuseWhatIsNotDone(tree, problems)
  problems.push(...rewriteContainer(tree))
  for (const entry of itemsAt(tree, '/spec/env')) rewriteEnv(entry, problems)
  for (const side of ['scaleOut', 'scaleIn'])
    for (const policy of itemsAt(tree, `/scaling/behavior/${side}/policies`)) rewritePolicy(policy)
  splitCooldown(tree)
  for (const path of texts) for (const field of matching(tree, splitPointer(path))) writeAsText(field)
  return problems
}

function putIn(tree: Mapping, field: Field, from: string, to: string, problems: Problem[]): void {
  const path = splitPointer(to)
  const last = path.pop() ?? ''
  let parent = tree
  for (const part of path) {
    const next = parent.fields.get(part)
    if (next && next.node.kind !== 'mapping') return
    const made: Mapping = { kind: 'mapping', at: field.keyAt, fields: new Map() }
    if (!next) parent.fields.set(part, { keyAt: field.keyAt, node: made })
    parent = next?.node.kind === 'mapping' ? next.node : made
  }
  const other = parent.fields.get(last)
  if (!other) {
    parent.fields.set(last, field)
    return
  }
  const where = other.keyAt.line === undefined ? '' : ` (line ${other.keyAt.line})`
  const also =
    other.keyAt.path === to ? `which is given too${where}` : `as does \`${dotted(other.keyAt.path)}\`${where}`
  problems.push({
    ...field.keyAt,
    message: `\`${dotted(from)}\` stands for \`${dotted(to)}\`, ${also}; give one of them`,
  })
}

/** What else stands in a section that has another name here is judged by the rules of the section that it belongs to. */
function moveRest(tree: Mapping, from: string, to: string, problems: Problem[]): void {
  const section = findIn(tree, from)?.node
  if (section?.kind !== 'mapping' && !(section && isNull(section))) return
  takeOut(tree, from)
  if (section.kind !== 'mapping') return
  for (const [name, field] of section.fields) putIn(tree, field, `${from}/${name}`, `${to}/${name}`, problems)
}

const dotted = (pointer: string) => splitPointer(pointer).join('.')

function takeOut(tree: Mapping, pointer: string): Field | undefined {
  const path = splitPointer(pointer)
  const last = path.pop() ?? ''
  const parent = findIn(tree, path.map((part) => `/${escapePointer(part)}`).join(''))?.node
  if (parent?.kind !== 'mapping') return undefined
  const field = parent.fields.get(last)
  parent.fields.delete(last)
  return field
}

function dropWhere(tree: Mapping, pointer: string, test: (field: Field) => boolean): void {
  const found = findIn(tree, pointer)
  if (found && test(found)) takeOut(tree, pointer)
}

const isNull = (node: Tree) => node.kind === 'leaf' && node.value === null

/** `maxScaleOutStep: 2` → at most two replicas within the period. */
function stepPolicies(step: Tree): Tree {
  const leaf = (value: string | number): Tree => ({ kind: 'leaf', at: step.at, value, text: String(value) })
  const policy: Mapping = { kind: 'mapping', at: step.at, fields: new Map() }
  policy.fields.set('type', { keyAt: step.at, node: leaf('replicas') })
  policy.fields.set('value', { keyAt: step.at, node: step })
  policy.fields.set('periodSeconds', { keyAt: step.at, node: leaf(stepPeriodSeconds) })
  return { kind: 'list', at: step.at, items: [policy] }
}

/** Fields that mean something elsewhere and that we would have to ignore: better refused than not done. */
function refuseWhatIsNotDone(tree: Mapping, problems: Problem[]): void {
  const reasons: Readonly<Record<string, string>> = {
    '/spec/type': 'only `http` apps are run; leave the field out',
    '/spec/restartPolicy': 'a replica that ends is always replaced; expected `Always`, or leave the field out',
    '/spec/sidecars': 'sidecars are not supported; run them as apps of their own',
  }
  for (const [pointer, reason] of Object.entries(reasons)) {
    const field = takeOut(tree, pointer)
    if (field) problems.push({ ...field.keyAt, message: `${reason} (found ${render(plainOf(field.node))})` })
  }
}

/** `{ name, source: sdk, key }` → `{ name, field }`; `{ name, source: secret, key }` → `{ name, secret }`; `valueFrom: { sdk }` likewise. */
function rewriteEnv(entry: Tree, problems: Problem[]): void {
  if (entry.kind !== 'mapping') return
  const from = entry.fields.get('valueFrom')
  if (from?.node.kind === 'mapping') {
    for (const [kind, target] of [
      ['sdk', 'field'],
      ['secret', 'secret'],
    ] as const) {
      const inner = from.node.fields.get(kind)
      if (!inner || entry.fields.has(target)) continue
      entry.fields.set(target, inner)
      from.node.fields.delete(kind)
    }
    if (from.node.fields.size === 0) entry.fields.delete('valueFrom')
  }
  const source = entry.fields.get('source')
  const key = entry.fields.get('key')
  if (!source) return
  const kind = plainOf(source.node)
  const target = kind === 'sdk' ? 'field' : kind === 'secret' ? 'secret' : undefined
  entry.fields.delete('source')
  entry.fields.delete('key')
  const problem = !target
    ? { ...source.node.at, message: `expected \`sdk\` or \`secret\`, found ${render(kind)}` }
    : !key
      ? { ...source.keyAt, message: `\`source: ${target === 'field' ? 'sdk' : 'secret'}\` needs a \`key\`` }
      : entry.fields.has(target)
        ? { ...key.keyAt, message: `\`key\` and \`${target}\` say the same; give one of them` }
        : undefined
  if (problem) problems.push(problem)
  // A stand-in after a problem, so that the same entry is not reported once more for having no value.
  if (target && key && !problem) entry.fields.set(target, key)
  else if (!entry.fields.has('field') && !entry.fields.has('secret'))
    entry.fields.set('value', { ...source, node: standIn(source.node.at) })
}

const standIn = (at: Place): Tree => ({ kind: 'leaf', at, value: '', text: '' })

/** Kubernetes writes `Pods` and `Percent`. */
function rewritePolicy(policy: Tree): void {
  const type = policy.kind === 'mapping' ? policy.fields.get('type')?.node : undefined
  if (type?.kind !== 'leaf') return
  const names: Readonly<Record<string, string>> = { Pods: 'replicas', Replicas: 'replicas', Percent: 'percent' }
  type.value = names[String(type.value)] ?? type.value
}

/** One number is the pause both ways. */
function splitCooldown(tree: Mapping): void {
  const scaling = findIn(tree, '/scaling')?.node
  const cooldown = scaling?.kind === 'mapping' ? scaling.fields.get('cooldownSeconds') : undefined
  if (cooldown?.node.kind !== 'leaf' || typeof cooldown.node.value !== 'number') return
  const { keyAt, node } = cooldown
  cooldown.node = {
    kind: 'mapping',
    at: node.at,
    fields: new Map([
      ['out', { keyAt, node }],
      ['in', { keyAt, node: { ...node } }],
    ]),
  }
}

function itemsAt(tree: Mapping, pointer: string): Tree[] {
  const node = findIn(tree, pointer)?.node
  return node?.kind === 'list' ? node.items : []
}

function matching(tree: Tree, path: readonly string[]): Tree[] {
  const [part, ...rest] = path
  if (part === undefined) return [tree]
  if (tree.kind === 'list') return part === '*' ? tree.items.flatMap((item) => matching(item, rest)) : []
  if (tree.kind === 'leaf') return []
  const next = part === '*' ? [...tree.fields.values()] : [tree.fields.get(part)]
  return next.flatMap((field) => (field ? matching(field.node, rest) : []))
}

function writeAsText(leaf: Tree): void {
  if (leaf.kind === 'leaf' && (typeof leaf.value === 'number' || typeof leaf.value === 'boolean'))
    leaf.value = leaf.text
}
