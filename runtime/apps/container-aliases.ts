/**
 * Other ways to write what a container gets: Compose's `data:/var/lib/data:ro` and `read_only`, Kubernetes' `securityContext` and
 * `volumeMounts`, capabilities with `CAP_` before them. A path of the machine is none of these and is refused. Pure.
 */
import type { Problem } from '../errors.ts'
import { render } from './explain.ts'
import { whyRefused } from './refused-fields.ts'
import { type Field, findIn, type Mapping, plainOf, type Tree } from './tree.ts'

/** Rewrites `tree` in place, after the sections have their own names; returns what cannot be rewritten. */
export function rewriteContainer(tree: Mapping): Problem[] {
  const problems: Problem[] = []
  const volumes = findIn(tree, '/spec/volumes')?.node
  if (volumes?.kind === 'list') {
    for (const [index, item] of volumes.items.entries())
      if (item.kind === 'leaf') volumes.items[index] = fromShortForm(item, problems)
      else if (item.kind === 'mapping') rewriteVolume(item, problems)
  }
  const security = findIn(tree, '/spec/security')?.node
  if (security?.kind === 'mapping') rewriteSecurity(security, problems)
  return problems
}

/** `name:path` or `name:path:ro`; what stands before the colon is a name here and never a place on the machine. */
function fromShortForm(leaf: Extract<Tree, { kind: 'leaf' }>, problems: Problem[]): Tree {
  const [name = '', mountPath, mode, ...more] = String(leaf.value).split(':')
  const isPath = /^[./~$]|^[A-Z]$|[\\/]/.test(name)
  if (typeof leaf.value !== 'string' || mountPath === undefined || more.length > 0 || !isMode(mode) || isPath) {
    const why = isPath ? `; ${whyRefused('binds')}` : ', such as `data:/var/lib/data`'
    problems.push({
      ...leaf.at,
      message: `expected a volume { name, mountPath, readOnly }${why} (found ${render(leaf.value)})`,
    })
    // A stand-in, so that the same entry is not reported once more.
    return volumeOf(leaf, 'x', `/x${problems.length}`, undefined)
  }
  return volumeOf(leaf, name, mountPath, mode)
}

const isMode = (mode: string | undefined) => mode === undefined || mode === 'ro' || mode === 'rw'

function volumeOf({ at }: Tree, name: string, mountPath: string, mode: string | undefined): Mapping {
  const field = (value: string | boolean): Field => ({
    keyAt: at,
    node: { kind: 'leaf', at, value, text: String(value) },
  })
  return {
    kind: 'mapping',
    at,
    fields: new Map([
      ['name', field(name)],
      ['mountPath', field(mountPath)],
      ...(mode === undefined ? [] : [['readOnly', field(mode === 'ro')] as const]),
    ]),
  }
}

/** Compose's long form is the same but for its names; `type: volume` says what is always so. */
function rewriteVolume(volume: Mapping, problems: Problem[]): void {
  for (const other of ['target', 'containerPath', 'path']) rename(volume, other, 'mountPath')
  for (const other of ['read_only', 'isReadOnly']) rename(volume, other, 'readOnly')
  const type = volume.fields.get('type')
  volume.fields.delete('type')
  if (type && plainOf(type.node) !== 'volume')
    problems.push({
      ...type.node.at,
      message: `expected \`volume\`, found ${render(plainOf(type.node))}; ${whyRefused('binds')}`,
    })
}

function rewriteSecurity(security: Mapping, problems: Problem[]): void {
  rename(security, 'user', 'runAsUser')
  for (const other of ['readOnly', 'read_only']) rename(security, other, 'readOnlyRootFilesystem')
  dropIf(security, 'privileged', false)
  dropIf(security, 'allowPrivilegeEscalation', false)
  joinGroup(security, problems)
  takeAdded(security)
  const list = security.fields.get('capabilities')?.node
  if (list?.kind !== 'list') return
  for (const item of list.items)
    if (item.kind === 'leaf' && typeof item.value === 'string')
      item.value = item.value.toUpperCase().replace(/^CAP_/, '')
}

/** `runAsUser: 1000` and `runAsGroup: 2000` are the one text `1000:2000`. */
function joinGroup(security: Mapping, problems: Problem[]): void {
  const group = security.fields.get('runAsGroup')
  if (!group) return
  security.fields.delete('runAsGroup')
  const user = security.fields.get('runAsUser')?.node
  if (user?.kind === 'leaf' && group.node.kind === 'leaf' && !String(user.value).includes(':'))
    user.value = `${user.text}:${group.node.text}`
  else
    problems.push({
      ...group.keyAt,
      message: 'a group is given behind its user, such as `runAsUser: 1000:2000`',
    })
}

/** `capabilities: { add: [X], drop: [ALL] }`: all is dropped in any case. */
function takeAdded(security: Mapping): void {
  const field = security.fields.get('capabilities')
  if (field?.node.kind !== 'mapping') return
  const { fields, at } = field.node
  if ([...fields.keys()].some((key) => key !== 'add' && key !== 'drop')) return
  const added = fields.get('add')?.node
  security.fields.set('capabilities', { ...field, node: added ?? { kind: 'list', at, items: [] } })
}

function rename(mapping: Mapping, from: string, to: string): void {
  const field = mapping.fields.get(from)
  if (!field || mapping.fields.has(to)) return
  mapping.fields.delete(from)
  mapping.fields.set(to, field)
}

function dropIf(mapping: Mapping, key: string, value: unknown): void {
  const field = mapping.fields.get(key)
  if (field && plainOf(field.node) === value) mapping.fields.delete(key)
}
