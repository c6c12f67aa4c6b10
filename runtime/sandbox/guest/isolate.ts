/** One plugin instance inside the sandbox process: an isolate, its context, and the four entry points of the bootstrap. */
import type ivm from 'isolated-vm'

/** The compiled bootstrap, put in when this program is made. */
declare const BOOTSTRAP_SOURCE: string

export interface Entries {
  load(source: string): Promise<string>
  open(call: number, nowMs: number, seed: number, instance: string, bindings: string, config: string): Promise<unknown>
  validate(config: string): Promise<string>
  call(
    call: number,
    nowMs: number,
    seed: number,
    kind: string,
    fn: string,
    per: string,
    items: string,
    timeoutMs: number,
  ): Promise<unknown>
  deliver(request: number, nowMs: number, isOk: boolean, json: string, timeoutMs: number): Promise<void>
}

export interface GuestIsolate extends Entries {
  /** Processor time since it was made; 0 once it is gone. */
  cpuMs(): number
  /** Used heap in bytes and CPU milliseconds; undefined once the isolate is gone. */
  measure(): Promise<{ heapBytes: number; cpuMs: number } | undefined>
  dispose(): void
}

export type OnPost = (kind: string, call: number, request: number, operation: string, json: string) => boolean

export interface IsolateOptions {
  readonly memoryMb: number
  readonly startMs: number
  readonly hostCalls: number
  readonly outBytes: number
}

const entryNames = ['load', 'open', 'validate', 'call', 'deliver'] as const

/** `memoryLimit` is twice the quota: above the quota the host recycles the isolate, and only a runaway meets the limit. */
export async function createGuestIsolate(
  engine: typeof ivm,
  options: IsolateOptions,
  onPost: OnPost,
): Promise<GuestIsolate> {
  const isolate = new engine.Isolate({
    memoryLimit: Math.max(8, options.memoryMb * 2),
    // The engine gave up on this isolate and leaked its thread: nothing in this process can be trusted to end.
    onCatastrophicError: () => process.kill(process.pid, 'SIGKILL'),
  })
  const context = await isolate.createContext()
  const entries = (await context.evalClosure(
    `${BOOTSTRAP_SOURCE}\nreturn bootstrap.start($0, $1, $2)`,
    [new engine.Callback(onPost, { sync: true }), options.hostCalls, options.outBytes],
    { result: { reference: true }, timeout: options.startMs },
  )) as ivm.Reference<Record<string, ivm.Reference>>
  const entry: Record<string, ivm.Reference> = {}
  for (const name of entryNames) entry[name] = (await entries.get(name, { reference: true })) as ivm.Reference

  // Arguments are primitives and results are strings or nothing, so that no object ever crosses.
  const run = async (name: (typeof entryNames)[number], args: (string | number | boolean)[], timeout: number) => {
    try {
      return await (entry[name] as ivm.Reference).apply(undefined, args, { timeout: Math.max(1, Math.ceil(timeout)) })
    } catch (thrown) {
      // The bootstrap throws nothing: while the isolate lives, and in time, this is a rejection that no code of the guest caught.
      const failure = failureOf(thrown)
      throw failure === 'gone' && !isolate.isDisposed ? new StrayRejection(wordsOf(thrown)) : thrown
    }
  }

  const cpuMs = () => (isolate.isDisposed ? 0 : Number(isolate.cpuTime) / 1e6)

  return {
    load: (source) => run('load', [source], options.startMs) as Promise<string>,
    open: (...args) => run('open', args, options.startMs),
    validate: (config) => run('validate', [config], options.startMs) as Promise<string>,
    call: (call, nowMs, seed, kind, fn, per, items, timeoutMs) =>
      run('call', [call, nowMs, seed, kind, fn, per, items], timeoutMs),
    deliver: async (request, nowMs, isOk, json, timeoutMs) => {
      await run('deliver', [request, nowMs, isOk, json], timeoutMs)
    },
    cpuMs,
    async measure() {
      if (isolate.isDisposed) return undefined
      const { used_heap_size: heapBytes } = await isolate.getHeapStatistics()
      return { heapBytes, cpuMs: cpuMs() }
    },
    dispose() {
      if (!isolate.isDisposed) isolate.dispose()
    },
  }
}

/** A promise of the guest was rejected and nobody caught it. The isolate can go on. */
export class StrayRejection extends Error {}

const place = /plugin\.js:\d+:\d+/

function wordsOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'a promise was rejected and nobody caught it'
  const where = place.exec(String(thrown.stack).slice(0, 2_000))?.[0]
  const words = `a promise was rejected and nobody caught it: ${String(thrown.message).slice(0, 300)}`
  return where === undefined ? words : `${words} (${where})`
}

/** Which of our failure kinds an error of the engine is. Told by the isolate's state first, by text only between two causes. */
export function failureOf(thrown: unknown): 'timeout' | 'memory' | 'gone' {
  const message = thrown instanceof Error ? thrown.message : ''
  if (message.includes('timed out')) return 'timeout'
  if (message.includes('memory limit') || message.includes('Array buffer allocation')) return 'memory'
  return 'gone'
}
