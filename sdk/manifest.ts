/** The key `orchestry` of a plugin's package.json: what the plugin declares before any of its code runs. */
import * as Type from 'typebox'
import { capabilitySchemas } from './capabilities.ts'

const strict = { additionalProperties: false }
const whole = (minimum: number, maximum: number) => Type.Optional(Type.Integer({ minimum, maximum }))

/** What a plugin asks for at most. The effective limit is the smallest of this, the operator's policy and the kind's default. */
export const Limits = Type.Object(
  {
    memoryMb: whole(8, 512),
    cpuMs: whole(1, 60_000),
    timeoutMs: whole(20, 60_000),
    startMs: whole(100, 60_000),
    hostCalls: whole(0, 2_000),
    outKb: whole(1, 1_024),
    logKbPerMin: whole(1, 3_840),
    jit: Type.Optional(Type.Object({ why: Type.String({ minLength: 1, maxLength: 300 }) }, strict)),
  },
  strict,
)
export type Limits = Type.Static<typeof Limits>

export const Manifest = Type.Object(
  {
    manifest: Type.Literal(1),
    engine: Type.String({ minLength: 1, maxLength: 64 }),
    entry: Type.String({ pattern: '^(?!/)(?!.*\\.\\.)[A-Za-z0-9._/-]+\\.(ts|js|mjs)$', maxLength: 256 }),
    capabilities: Type.Optional(Type.Array(Type.Union(Object.values(capabilitySchemas)), { maxItems: 32 })),
    limits: Type.Optional(Limits),
    /** It needs something of the machine, so it never answers for apps that do not name it until the operator says so. */
    optIn: Type.Optional(Type.Boolean()),
  },
  strict,
)
export type Manifest = Type.Static<typeof Manifest>
