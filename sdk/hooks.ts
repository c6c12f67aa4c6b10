/**
 * The one hook table. Types for authors, checks in the host, dispatch in the sandbox and documentation are all read from it.
 *
 * A function with `per: 'item'` is batched: the host sends many items in one crossing and every item gets its own answer.
 * Its function receives one object: the item's fields beside `config`, `ctx` and (for scalers) `hold`.
 * A function with `per: 'call'` receives the payload first and `{ config, ctx }` second.
 */
import * as Type from 'typebox'
import {
  Credentials,
  Endpoint,
  EndpointSignal,
  ExportResult,
  HealthInput,
  HealthResult,
  OrchestryEvent,
  Principal,
  Sample,
  ScalerInput,
  StorageEntry,
  Upstream,
  UpstreamStatus,
  Vote,
} from './model.ts'

/** How many plugins answer a call, and how their answers become one. */
export type Discipline = 'collect' | 'first' | 'exclusive' | 'broadcast'

const text = Type.String({ maxLength: 256 })
const names = Type.Array(text, { maxItems: 256 })
/** What a function that returns nothing becomes on its way across. */
const nothing = Type.Null()
const appName = Type.String()
const appWithEndpoints = Type.Object({ app: appName, endpoints: Type.Array(Endpoint) })

export const hookTable = {
  scaler: {
    discipline: 'collect',
    onFailure: 'an error vote: scale-in is vetoed, scale-out is not; after fallback.afterSeconds the fallback vote',
    declares: Type.Object({ metrics: Type.Optional(names) }),
    functions: {
      decide: { per: 'item', input: ScalerInput, output: Vote, needed: false },
      decideAll: {
        per: 'call',
        input: Type.Array(ScalerInput),
        output: Type.Array(Vote),
        needed: false,
      },
    },
  },
  healthCheck: {
    discipline: 'first',
    onFailure: 'unknown: the replica keeps its state',
    declares: Type.Object({ protocol: text }),
    functions: {
      check: { per: 'item', input: HealthInput, output: HealthResult, needed: false },
      checkAll: { per: 'call', input: Type.Array(HealthInput), output: Type.Array(HealthResult), needed: false },
    },
  },
  loadBalancer: {
    discipline: 'exclusive',
    onFailure: 'the last good generation is kept; retried with backoff',
    declares: Type.Object({}),
    functions: {
      apply: { per: 'call', input: Upstream, output: nothing, needed: true },
      remove: { per: 'call', input: appName, output: nothing, needed: true },
      status: { per: 'call', input: appName, output: Type.Union([UpstreamStatus, Type.Null()]), needed: true },
      metrics: { per: 'call', input: Type.Null(), output: Type.Array(Sample), needed: false },
      signals: { per: 'call', input: Type.Null(), output: Type.Array(EndpointSignal), needed: false },
    },
  },
  metricsSource: {
    discipline: 'collect',
    onFailure: 'a gap, never a zero',
    declares: Type.Object({ metrics: Type.Optional(names) }),
    functions: {
      collect: { per: 'call', input: Type.Array(appWithEndpoints), output: Type.Array(Sample), needed: true },
    },
  },
  metricsExporter: {
    discipline: 'broadcast',
    onFailure: 'its own bounded queue waits, then drops the oldest and counts them',
    declares: Type.Object({ formats: Type.Optional(names) }),
    functions: { export: { per: 'call', input: Type.Array(Sample), output: ExportResult, needed: true } },
  },
  eventHandler: {
    discipline: 'broadcast',
    onFailure: 'delivered again with backoff, then set aside in the dead-letter list',
    declares: Type.Object({ events: Type.Optional(names) }),
    functions: { handle: { per: 'call', input: OrchestryEvent, output: nothing, needed: true } },
  },
  authProvider: {
    discipline: 'first',
    onFailure: 'deny',
    declares: Type.Object({}),
    functions: {
      authenticate: { per: 'call', input: Credentials, output: Type.Union([Principal, Type.Null()]), needed: true },
      authorize: {
        per: 'call',
        input: Type.Object({ principal: Principal, scope: Type.String(), resource: Type.String() }),
        output: Type.Boolean(),
        needed: false,
      },
    },
  },
  storageBackend: {
    discipline: 'exclusive',
    onFailure: 'fail closed: the write is refused and nothing is acknowledged',
    declares: Type.Object({}),
    functions: {
      get: { per: 'call', input: Type.String(), output: Type.Union([StorageEntry, Type.Null()]), needed: true },
      list: {
        per: 'call',
        input: Type.Object({ from: Type.String(), to: Type.String(), limit: Type.Integer({ minimum: 1 }) }),
        output: Type.Array(StorageEntry),
        needed: true,
      },
      put: {
        per: 'call',
        input: Type.Object({
          key: Type.String(),
          value: Type.Unknown(),
          expectedRevision: Type.Optional(Type.Integer({ minimum: 0 })),
        }),
        output: Type.Object({ revision: Type.Integer(), isConflict: Type.Optional(Type.Boolean()) }),
        needed: true,
      },
      delete: {
        per: 'call',
        input: Type.Object({ key: Type.String(), expectedRevision: Type.Optional(Type.Integer({ minimum: 0 })) }),
        output: Type.Object({ isDeleted: Type.Boolean(), isConflict: Type.Optional(Type.Boolean()) }),
        needed: true,
      },
      watch: {
        per: 'call',
        input: Type.Object({ prefix: Type.String(), afterRevision: Type.Integer({ minimum: 0 }) }),
        output: Type.Array(StorageEntry),
        needed: true,
      },
      lease: {
        per: 'call',
        input: Type.Object({ name: Type.String(), holder: Type.String(), ttlMs: Type.Integer({ minimum: 1 }) }),
        output: Type.Union([Type.Object({ fencingToken: Type.Integer(), expiresAtMs: Type.Number() }), Type.Null()]),
        needed: true,
      },
    },
  },
} as const satisfies Record<
  string,
  {
    discipline: Discipline
    onFailure: string
    declares: Type.TSchema
    functions: Record<string, { per: 'item' | 'call'; input: Type.TSchema; output: Type.TSchema; needed: boolean }>
  }
>

export type HookTable = typeof hookTable
export type HookKind = keyof HookTable
export type HookFunction<K extends HookKind> = keyof HookTable[K]['functions'] & string
/** The kinds that are called with discipline `D`: a wrong discipline does not compile. */
export type KindsOf<D extends Discipline> = {
  [K in HookKind]: HookTable[K]['discipline'] extends D ? K : never
}[HookKind]

type Entry<K extends HookKind, F extends HookFunction<K>> = HookTable[K]['functions'][F] & {
  input: Type.TSchema
  output: Type.TSchema
}
export type HookInput<K extends HookKind, F extends HookFunction<K>> = Type.Static<Entry<K, F>['input']>
export type HookOutput<K extends HookKind, F extends HookFunction<K>> = Type.Static<Entry<K, F>['output']>

export const hookKinds = Object.keys(hookTable) as HookKind[]
