/** Bounded words for anything a guest throws: a thrown value itself never leaves the isolate. */
import { apply, cut, text } from './primordials.ts'

const { exec } = RegExp.prototype
const frame = /plugin\.js:(\d+):(\d+)/

/** Runs guest getters, so only ever inside a deadline. */
export function render(thrown: unknown): string {
  try {
    // The digits of a large one take seconds, and no deadline ends that.
    if (typeof thrown === 'bigint') return 'a bigint'
    if (typeof thrown !== 'object' || thrown === null) return cut(text(thrown))
    const { name, message, stack } = thrown as { name?: unknown; message?: unknown; stack?: unknown }
    // Each cut before they are joined: a joined text is copied whole when it is cut.
    const words = `${typeof name === 'string' ? cut(name) : 'Error'}: ${typeof message === 'string' ? cut(message) : ''}`
    const place = typeof stack === 'string' ? firstFrame(stack) : ''
    return cut(place === '' ? words : `${cut(words, 400)} (${place})`)
  } catch {
    return 'an error that cannot be shown'
  }
}

/** Line and column in the bundle; the host maps them back to the source. */
function firstFrame(stack: string): string {
  const match = apply(exec, frame, [cut(stack, 2_000)]) as RegExpExecArray | null
  return match === null ? '' : `plugin.js:${match[1]}:${match[2]}`
}
