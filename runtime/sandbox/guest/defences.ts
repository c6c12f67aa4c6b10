/**
 * What stands between a plugin and the bridge that shares its isolate, each by its name. A test builds the program without one
 * of them at a time and must see that a hostile guest notices; where it cannot notice, `second` says what held instead.
 */
export interface DefenceRow {
  readonly name: string
  /** What it keeps from a guest. */
  readonly keeps: string
  /** What holds when it alone is gone, so that only taking both away shows. */
  readonly second?: string
}

/** The first part runs in this order, before any guest code: remove, pin, poison, freeze. */
export const realmDefences = [
  { name: 'removed-globals', keeps: 'memory outside the limit, clocks, code from strings, a console' },
  { name: 'fixed-buffers', keeps: 'buffers that grow where the memory limit does not count' },
  { name: 'pinned-errors', keeps: 'guest code run by the engine for each stack, and call sites of the bridge' },
  { name: 'regexp-statics', keeps: 'what was matched last, by whomever' },
  { name: 'host-time', keeps: 'a clock that was not granted' },
  { name: 'host-chance', keeps: 'chance that was not granted and cannot be replayed' },
  { name: 'poisoned-constructors', keeps: 'code from strings, behind every function literal' },
  { name: 'overridable-properties', keeps: 'ordinary code working although prototypes are frozen' },
  { name: 'frozen-realm', keeps: 'built-ins as the bridge knows them' },
  { name: 'pinned-globals', keeps: 'names of built-ins meaning the built-ins' },
] as const satisfies readonly DefenceRow[]

export const bridgeDefences = [
  {
    name: 'captured-primordials',
    keeps: 'built-ins as they were before the guest, should one not be frozen',
    second: 'frozen-realm',
  },
  { name: 'unobserved-promises', keeps: 'functions of the bridge away from a thenable and from a species' },
  { name: 'rendered-errors', keeps: 'thrown values inside, where reading them is under the deadline' },
  { name: 'bounded-words', keeps: 'what is said of an error short' },
  { name: 'bounded-answers', keeps: 'an answer within limits.outKb' },
  { name: 'counted-host-calls', keeps: 'floods of host calls from leaving the isolate' },
  { name: 'bounded-arguments', keeps: 'one host call within limits.outKb' },
  { name: 'bounded-argument-total', keeps: 'all host calls of one hook call within what the host will read' },
  { name: 'calls-that-are-over', keeps: 'work left behind from acting in the name of a later call' },
  { name: 'strict-bundle', keeps: 'sloppy mode away: the global as `this`, callers, `with`' },
  { name: 'frozen-api', keeps: 'the functions of ctx what they are' },
] as const satisfies readonly DefenceRow[]

export type RealmDefence = (typeof realmDefences)[number]['name']
export type Defence = RealmDefence | (typeof bridgeDefences)[number]['name']

/**
 * Names, with a comma between them, put in as a text when the program is made: '' in every program but those of the tests
 * that take something away. Nothing at run time can change it.
 */
declare const REMOVED_DEFENCES: string

/** To be asked before guest code runs, and the answer kept. */
export const stands = (defence: Defence): boolean => !`,${REMOVED_DEFENCES},`.includes(`,${defence},`)

/** For the test of the order: that everything in its reverse does not even come up. */
export const isReversed = (): boolean => REMOVED_DEFENCES === 'order'
