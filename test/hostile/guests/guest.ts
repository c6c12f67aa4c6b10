/** What a hostile guest is, in the tables of this folder. */
import type { ErrorCode } from '../../../runtime/errors.ts'

export type Expected =
  /** It answers, with exactly this; its process stays. */
  | { readonly value: unknown }
  /** Only its call fails, with this code and these words; its process stays. */
  | { readonly fails: ErrorCode; readonly words?: RegExp }
  /** It answers with exactly this, and what it left behind ends its process. */
  | { readonly leaves: unknown }
  /** Its call fails with one of these, and its process is replaced. */
  | { readonly ends: readonly ErrorCode[] }

export interface HostileGuest {
  readonly name: string
  /** The statements of `async ({ ctx, config, hold }) => { … }`; in scope are the words of `scope` below. */
  readonly body: string
  /** Without `async`: what it returns is what the bridge gets. */
  readonly isBare?: boolean
  readonly expected: Expected
  /** Called so often, one call after the other; the last is what counts. */
  readonly calls?: number
  /** Where the usual deadline would end it before it shows what it is about. */
  readonly timeoutMs?: number
}

export const refused = (words?: RegExp): Expected => ({
  fails: 'ORC_SANDBOX_GUEST_ERROR',
  ...(words === undefined ? {} : { words }),
})
export const timeout: Expected = { ends: ['ORC_SANDBOX_TIMEOUT'] }
/** What grows meets its limit, an abort of the engine, its deadline or that of the processor. Which is first is the machine's. */
export const outgrown: Expected = {
  ends: ['ORC_SANDBOX_OUT_OF_MEMORY', 'ORC_SANDBOX_CRASHED', 'ORC_SANDBOX_TIMEOUT', 'ORC_SANDBOX_CPU_EXCEEDED'],
}

export const scope = `
const said = (run) => { try { return 'got ' + String(run()) } catch (error) { return error.name + ': ' + error.message } }
const saidLater = async (run) => { try { return 'got ' + String(await run()) } catch (error) { return error.name + ': ' + error.message } }
const noCode = 'TypeError: code from strings is not available to plugins'
`
