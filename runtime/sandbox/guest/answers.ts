/**
 * How the work of one hook call becomes one text: a slot for each item, `[1, value]` or `[0, words]`. At once when all work was
 * synchronous, later through `post` when not.
 */

import { stands } from './defences.ts'
import type { HostCalls, Post } from './host-calls.ts'
import { stringify, whenSettled } from './primordials.ts'
import { render } from './words.ts'

/** Stringified apart, so that one bad value spoils only its own slot. */
export function slot(value: unknown): string {
  try {
    return `[1,${stringify(value === undefined ? null : value) ?? 'null'}]`
  } catch (thrown) {
    return failedSlot(thrown)
  }
}

const isRendered = stands('rendered-errors')

/** A thrown value itself never leaves: whoever copies it outside would run its getters without a deadline. */
export function failedSlot(thrown: unknown): string {
  if (!isRendered) throw thrown
  return `[0,${stringify(render(thrown))}]`
}

export function slotOf(work: () => unknown): string {
  try {
    return slot(work())
  } catch (thrown) {
    return failedSlot(thrown)
  }
}

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function settle(work: () => unknown, done: (slot: string) => void): void {
  try {
    const value = work()
    if (!isPromise(value)) return done(slot(value))
    whenSettled(
      value,
      (result) => done(slot(result)),
      (thrown) => done(failedSlot(thrown)),
    )
  } catch (thrown) {
    done(failedSlot(thrown))
  }
}

const tooLarge = '[0,"answered more than limits.outKb"]'
const isBounded = stands('bounded-answers')

export function createAnswers(post: Post, hostCalls: HostCalls, outLimit: number) {
  const isTooLarge = (json: string) => isBounded && json.length > outLimit

  function answer(call: number, slots: string[]): string {
    hostCalls.end(call)
    let json = '['
    for (let index = 0; index < slots.length; index += 1) json += index === 0 ? slots[index] : `,${slots[index]}`
    return isTooLarge(json) ? `[${tooLarge}]` : `${json}]`
  }

  /** Undefined when something is awaited: the answer is posted when the last work has settled. */
  return function gather(call: number, works: (() => unknown)[]): string | undefined {
    hostCalls.begin(call)
    const slots: string[] = []
    let open = works.length
    let isSynchronous = true
    for (let index = 0; index < works.length; index += 1) {
      const at = index
      settle(works[at] as () => unknown, (json) => {
        // At once, so that what waits for the slowest item is never more than one answer each.
        slots[at] = isTooLarge(json) ? tooLarge : json
        open -= 1
        if (open === 0 && !isSynchronous) post('r', call, 0, '', answer(call, slots))
      })
    }
    isSynchronous = false
    return open === 0 ? answer(call, slots) : undefined
  }
}
