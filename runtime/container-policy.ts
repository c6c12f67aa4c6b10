/**
 * What the operator lets apps ask for of containers, and what those get that ask for nothing. It bounds and cannot widen: whatever it
 * says, no container is privileged, shares a namespace of the machine or sees a path of it. Pure.
 */
import * as Type from 'typebox'
import { Value } from 'typebox/value'

const strict = { additionalProperties: false }
const optional = Type.Optional
const bounds = (minimum: number, maximum: number) =>
  Type.Object(
    {
      default: optional(Type.Integer({ minimum, maximum })),
      max: optional(Type.Integer({ minimum, maximum })),
    },
    strict,
  )

/** As it is written in the setting; what is left out is as in `defaultContainerPolicy`. */
const Written = Type.Object(
  {
    images: optional(
      Type.Array(Type.String({ pattern: '^[A-Za-z0-9*?._:/@-]{1,512}$' }), { minItems: 1, maxItems: 256 }),
    ),
    capabilities: optional(Type.Array(Type.String({ pattern: '^[A-Z_]{1,64}$' }), { maxItems: 64 })),
    allowRoot: optional(Type.Boolean()),
    allowWritableRoot: optional(Type.Boolean()),
    memoryMb: optional(bounds(6, 16_777_216)),
    cpuMilli: optional(bounds(10, 1_024_000)),
    pids: optional(bounds(1, 1_000_000)),
  },
  strict,
)

/** Of a replica whose app says nothing; the most that an app may say. Absent = no bound. */
interface Bounds {
  readonly default?: number
  readonly max?: number
}
export interface ContainerPolicy {
  /**
   * Globs over `registry/path`, or `registry/path:tag` where they hold a tag: `*` is anything but `/`, `**` anything. An image's
   * id says nothing of where it came from: only `**` and globs that begin with `sha256:` allow one.
   */
  readonly images: readonly string[]
  /** Names without `CAP_`. */
  readonly capabilities: readonly string[]
  /** Whether an app may run as root, or as whoever its image says, which may be root. */
  readonly allowRoot: boolean
  readonly allowWritableRoot: boolean
  /** MiB. */
  readonly memoryMb: Bounds
  readonly cpuMilli: Bounds
  readonly pids: Bounds
}

export const defaultContainerPolicy: ContainerPolicy = {
  images: ['**'],
  // What images that begin as root need to give themselves less: a port below 1024, a directory handed over, another user.
  capabilities: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'NET_BIND_SERVICE', 'SETGID', 'SETUID'],
  allowRoot: true,
  allowWritableRoot: true,
  memoryMb: { default: 512 },
  cpuMilli: {},
  pids: { default: 4096 },
}

/** @returns the policy, or what is wrong with the text. */
export function readContainerPolicy(text: string): ContainerPolicy | { readonly wrong: string } {
  let written: unknown
  try {
    written = JSON.parse(text)
  } catch {
    return { wrong: 'JSON, such as {"images":["registry.example/**"],"memoryMb":{"default":256,"max":2048}}' }
  }
  if (!Value.Check(Written, written)) {
    const [first] = Value.Errors(Written, written)
    return {
      wrong: `a mapping of ${Object.keys(Written.properties).join(', ')}; ${first?.instancePath || '/'} ${first?.message}`,
    }
  }
  const policy = { ...defaultContainerPolicy, ...written } as ContainerPolicy
  for (const name of ['memoryMb', 'cpuMilli', 'pids'] as const) {
    const { default: usual, max } = policy[name]
    if (usual !== undefined && max !== undefined && usual > max)
      return { wrong: `a policy whose ${name}.default (${usual}) is not above its ${name}.max (${max})` }
  }
  return policy
}

/** What of an app the policy judges. */
export interface AskedOfContainer {
  readonly image?: string
  readonly memoryBytes?: number
  readonly cpuMilli?: number
  readonly pids?: number
  readonly security?: {
    readonly runAsUser?: string
    readonly isRootWritable: boolean
    readonly capabilities: readonly string[]
  }
}

const mebibyte = 1024 * 1024

/** With the policy's bound where the app gives none. */
export function boundsOf(asked: AskedOfContainer, policy: ContainerPolicy) {
  const { memoryMb, cpuMilli, pids } = policy
  const memory = memoryMb.default ?? memoryMb.max
  return {
    memoryBytes: asked.memoryBytes ?? (memory === undefined ? undefined : memory * mebibyte),
    cpuMilli: asked.cpuMilli ?? cpuMilli.default ?? cpuMilli.max,
    pids: asked.pids ?? pids.default ?? pids.max,
  }
}

/** What the policy does not allow: the field of the spec, and why. Empty for what is no container. */
export function policyViolations(
  asked: AskedOfContainer,
  policy: ContainerPolicy,
): { pointer: string; message: string }[] {
  const { image, security, memoryBytes = 0, cpuMilli = 0, pids = 0 } = asked
  if (image === undefined) return []
  const found: { pointer: string; message: string }[] = []
  const add = (pointer: string, message: string) =>
    found.push({ pointer: `/spec/${pointer}`, message: `the operator's policy for containers ${message}` })
  if (!policy.images.some((glob) => isImageOf(glob, image)))
    add('image', `allows images of ${policy.images.join(', ')}, not ${fullName(image)}`)
  const refused = (security?.capabilities ?? []).filter((name) => !policy.capabilities.includes(name))
  if (refused.length > 0)
    add(
      'security/capabilities',
      `lets apps ask for ${policy.capabilities.join(', ') || 'no capability'}, not for ${refused.join(', ')}`,
    )
  if (security?.isRootWritable && !policy.allowWritableRoot)
    add('security/readOnlyRootFilesystem', 'asks for a root file system that is read-only; write to `/tmp` or a volume')
  if (!policy.allowRoot && !(Number.parseInt(security?.runAsUser ?? '0', 10) > 0))
    add('security/runAsUser', 'forbids root, and an image may say root; give `runAsUser` a number above 0')
  const { memoryMb, cpuMilli: cpu, pids: processes } = policy
  if (memoryMb.max !== undefined && memoryBytes > memoryMb.max * mebibyte)
    add('resources/memory', `gives a replica at most ${memoryMb.max}Mi`)
  if (cpu.max !== undefined && cpuMilli > cpu.max) add('resources/cpu', `gives a replica at most ${cpu.max}m`)
  if (processes.max !== undefined && pids > processes.max)
    add('resources/pids', `gives a replica at most ${processes.max}`)
  return found
}

/** Both sides are spelled out first: `nginx` is `docker.io/library/nginx`, in a policy as in a spec. */
export function isImageOf(glob: string, image: string): boolean {
  if (glob === '*' || glob === '**') return true
  const isOfName = !/[:@]/.test(glob.slice(glob.lastIndexOf('/') + 1))
  const full = withTag(fullName(image))
  return patternOf(fullName(glob)).test(isOfName ? nameOnly(full) : full)
}

function patternOf(glob: string): RegExp {
  const source = glob.replaceAll(/\*\*|\*|\?|[^*?]+/g, (part) => {
    if (part === '**') return '.*'
    if (part === '*') return '[^/]*'
    return part === '?' ? '[^/]' : part.replaceAll('.', '\\.')
  })
  return new RegExp(`^${source}$`)
}

const dockerHub = 'docker.io'
/** Of an image on the engine, or a glob over such. */
const idForm = /^sha256:(?:[a-f0-9]{64}|[a-f0-9]*\*+)$/

function fullName(image: string): string {
  if (idForm.test(image)) return image
  const [first = '', ...rest] = image.split('/')
  if (first.startsWith('*')) return image
  if (rest.length === 0) return `${dockerHub}/library/${image}`
  if (first === 'index.docker.io' || first === 'registry-1.docker.io') return fullName(`${dockerHub}/${rest.join('/')}`)
  if (first === dockerHub && rest.length === 1) return `${dockerHub}/library/${rest[0]}`
  const isRegistry = /[.:]/.test(first) || first === 'localhost'
  return isRegistry ? image : `${dockerHub}/${image}`
}

const nameOnly = (image: string) => image.replace(/(:[^/:@]*)?(@[^/]*)?$/, '')
const withTag = (image: string) => (/[:@]/.test(image.slice(image.lastIndexOf('/') + 1)) ? image : `${image}:latest`)
