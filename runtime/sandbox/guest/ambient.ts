/** Time and chance as the host gives them with every call: replayable, and only for whom they were granted. */
import { freeze, GuestError } from './primordials.ts'

const multiply = Math.imul

/** The text of the error behind everything that is not there. */
export function notGranted(kind: string): string {
  return `ctx.${kind} was not granted: add { "kind": "${kind}" } to orchestry.capabilities in package.json`
}

export function createAmbient() {
  const granted = { clock: false, random: false }
  let nowMs = 0
  let seed = 1

  /** mulberry32: small, and the same numbers for the same seed wherever it is replayed. */
  const random = (): number => {
    seed = (seed + 0x6d2b79f5) | 0
    let bits = multiply(seed ^ (seed >>> 15), 1 | seed)
    bits = (bits + multiply(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296
  }

  return {
    granted,
    now: freeze(() => nowMs),
    random: freeze(random),
    /** What `Date` and `Math.random` read. */
    builtin: {
      now() {
        if (!granted.clock) throw new GuestError(notGranted('clock'))
        return nowMs
      },
      random() {
        if (!granted.random) throw new GuestError(notGranted('random'))
        return random()
      },
    },
    /** A call, or an answer of the host, has come in. A seed of 0 goes on with the numbers as they come. */
    enter(hostNowMs: number, hostSeed: number) {
      nowMs = hostNowMs
      if (hostSeed !== 0) seed = hostSeed | 0
    },
  }
}
export type Ambience = ReturnType<typeof createAmbient>
