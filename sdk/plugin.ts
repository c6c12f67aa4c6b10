import type * as Type from 'typebox'
import type { Context } from './capabilities.ts'
import type { HookFunction, HookInput, HookKind, HookOutput, HookTable } from './hooks.ts'

type MaybePromise<T> = T | Promise<T>
/** Says nothing of this app now, and why. Never blocks what other scalers want. */
export type Hold = (reason: string) => { hold: true; reason: string }

/** What every hook function gets beside its payload. */
export interface Tools<C> {
  readonly config: C
  readonly ctx: Context
}

type ScalerInputOf = Omit<HookInput<'scaler', 'decide'>, 'metrics'> & { readonly metrics: import('./model.ts').Metrics }
type ItemInput<K extends HookKind, F extends HookFunction<K>, C> = (K extends 'scaler'
  ? ScalerInputOf & { readonly hold: Hold }
  : HookInput<K, F>) &
  Tools<C>
type CallInput<K extends HookKind, F extends HookFunction<K>> = K extends 'scaler' ? ScalerInputOf[] : HookInput<K, F>
type Result<K extends HookKind, F extends HookFunction<K>> =
  HookOutput<K, F> extends null | undefined ? void | null | undefined : HookOutput<K, F>

type FunctionOf<K extends HookKind, F extends HookFunction<K>, C> = HookTable[K]['functions'][F] extends {
  per: 'item'
}
  ? (input: ItemInput<K, F, C>) => MaybePromise<Result<K, F>>
  : (payload: CallInput<K, F>, tools: Tools<C> & { readonly hold: Hold }) => MaybePromise<Result<K, F>>

type Needed<K extends HookKind> = {
  [F in HookFunction<K>]: HookTable[K]['functions'][F] extends { needed: true } ? F : never
}[HookFunction<K>]

/** The functions and declarations of one hook kind. */
export type HookDefinition<K extends HookKind, C> = Type.Static<HookTable[K]['declares']> & {
  [F in Needed<K>]: FunctionOf<K, F, C>
} & { [F in Exclude<HookFunction<K>, Needed<K>>]?: FunctionOf<K, F, C> }

export type PluginDefinition<S extends Type.TSchema> = {
  /** Gives the type of `config`, its validation, its documentation and the form an operator fills in. */
  config?: S
  /** Called once before the first hook call, and again after every restart of the sandbox. */
  activate?(ctx: Context, config: Type.Static<S>): MaybePromise<void>
  dispose?(ctx: Context): MaybePromise<void>
  /** What the schema cannot say: each string is one thing that is wrong. */
  validateConfig?(config: Type.Static<S>): string[]
} & { [K in HookKind]?: HookDefinition<K, Type.Static<S>> }

/**
 * Declares a plugin. The object is plain data and functions: it can be tested without a host.
 *
 * @example
 * export default definePlugin({
 *   config: Type.Object({ jobsPerReplica: Type.Number({ minimum: 1, default: 50 }) }),
 *   scaler: {
 *     metrics: ['queueDepth'],
 *     decide({ metrics, config, hold }) {
 *       const depth = metrics.queueDepth?.last
 *       if (depth == null) return hold('no fresh sample')
 *       return { replicas: Math.ceil(depth / config.jobsPerReplica), reason: `${depth} jobs` }
 *     },
 *   },
 * })
 */
// biome-ignore lint/complexity/noBannedTypes: TypeBox spells "an object without properties" this way
export function definePlugin<const S extends Type.TSchema = Type.TObject<{}>>(
  definition: PluginDefinition<S>,
): PluginDefinition<S> {
  return definition
}
