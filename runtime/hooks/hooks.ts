/** The port through which rooms call plugins. One method per calling discipline: a wrong one does not compile. */
import type { HookFunction, HookInput, HookKind, HookOutput, KindsOf, ScalerInput } from '@orchestry/sdk'
import type { ErrorCode } from '../errors.ts'

/** Why there is no answer. Never thrown: a failing plugin is data for the room that asked. */
export interface HookFailure {
  readonly code: ErrorCode
  readonly message: string
  readonly plugin: string
  readonly instance: string
  readonly hook: string
  readonly atMs: number
}
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: HookFailure }

/** A plugin instance that offers a kind. */
export interface Provider {
  readonly plugin: string
  readonly version: string
  readonly instance: string
  readonly kind: HookKind
  /** Answers for apps that name none of this kind. */
  readonly isDefault: boolean
  readonly isServing: boolean
  readonly functions: readonly string[]
  /** Plain data beside the functions: `metrics`, `protocol`, `events`, `formats`. */
  readonly declares: Readonly<Record<string, unknown>>
}

export interface CallScope {
  /** App instances handed to this call: what `addresses: ["instances"]` may reach. */
  readonly endpoints?: Iterable<{ host: string; port: number }>
  readonly timeoutMs?: number
  /** See `Invocation.eventDepth`. */
  readonly eventDepth?: number
}

export interface Hooks {
  /** Enabled instances that offer the kind, in the operator's order; also those that are not serving right now. */
  providers(kind: HookKind): Provider[]
  /**
   * Every named instance gets its own items, in batches; each item has its own answer, in order. The instances answer apart,
   * so that nobody need wait for the slowest. No promise rejects.
   */
  collect<K extends KindsOf<'collect'>, F extends HookFunction<K>>(
    kind: K,
    fn: F,
    itemsByInstance: ReadonlyMap<string, readonly ItemOf<K, F>[]>,
    scope?: CallScope,
  ): Map<string, Promise<Answer<AnswerOf<K, F>>[]>>
  /** One instance answers (the caller chose it by what it declares), item by item. */
  first<K extends KindsOf<'first'>, F extends HookFunction<K>>(
    kind: K,
    fn: F,
    instance: string,
    items: readonly ItemOf<K, F>[],
    scope?: CallScope,
  ): Promise<Answer<AnswerOf<K, F>>[]>
  exclusive<K extends KindsOf<'exclusive'>, F extends HookFunction<K>>(
    kind: K,
    fn: F,
    instance: string,
    payload: HookInput<K, F>,
    scope?: CallScope,
  ): Promise<Answer<HookOutput<K, F>>>
  /** One of the many that hear the same thing. Each has its own queue or cursor, so the caller goes through them itself. */
  broadcast<K extends KindsOf<'broadcast'>, F extends HookFunction<K>>(
    kind: K,
    fn: F,
    instance: string,
    payload: HookInput<K, F>,
    scope?: CallScope,
  ): Promise<Answer<HookOutput<K, F>>>
  /** Called whenever `providers` may answer differently. */
  onProvidersChanged(listener: () => void): () => void
}

/** For a batched function an item is one input; for the others, one payload. */
export type ItemOf<K extends HookKind, F extends HookFunction<K>> = K extends 'scaler' ? ScalerInput : HookInput<K, F>
export type AnswerOf<K extends HookKind, F extends HookFunction<K>> = HookOutput<K, F>
