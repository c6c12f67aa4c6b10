/**
 * Judges the processor time of one sandbox process, as the host measures it: which call spent it, whether that is more than a
 * call may, and whether the process burns it while nothing is asked of it. Pure: each look is told what was measured.
 */

/** Something asked of the process that has not been answered. */
export interface Spender {
  readonly startedMs: number
  /** The most it may spend; absent where the deadline alone bounds it. */
  readonly cpuLimitMs: number | undefined
  /** It runs no longer but waits for something. */
  readonly isAwaiting: boolean
  /** What it was charged with so far. Written by the watch. */
  cpuMs: number
}

export interface CpuReading<S extends Spender> {
  /** Of the whole process, since it was started. */
  readonly cpuMs: number
  readonly nowMs: number
  /** Time without anything to do, since the process was taken. */
  readonly idleMs: number
  /** The time of all that was ever asked of it, added up. */
  readonly askedMs: number
  readonly open: readonly S[]
}

export type CpuVerdict<S extends Spender> =
  | { readonly kind: 'call'; readonly spender: S; readonly limitMs: number }
  /** It spent this much in that much idle time. */
  | { readonly kind: 'idle'; readonly cpuMs: number; readonly idleMs: number }

export interface CpuWatch<S extends Spender> {
  look(reading: CpuReading<S>): CpuVerdict<S> | undefined
}

/** More than half of a core, over two seconds in which nothing was asked. */
const idleWindowMs = 2_000
const idleShare = 0.5
/** What a call leaves to be done beside it and after it: compiling, collecting garbage. */
const threadsOfCall = 2

export function createCpuWatch<S extends Spender>(first: Pick<CpuReading<S>, 'cpuMs' | 'nowMs'>): CpuWatch<S> {
  let last = { ...first, idleMs: 0, askedMs: 0 }
  const looks: { idleMs: number; burntMs: number }[] = []
  const sum = { idleMs: 0, burntMs: 0 }

  /** Idle time is counted on over calls: being asked something now and then is no licence to spin in between. */
  function judgeIdle(idleMs: number, burntMs: number): CpuVerdict<S> | undefined {
    if (idleMs <= 0) return undefined
    looks.push({ idleMs, burntMs })
    sum.idleMs += idleMs
    sum.burntMs += burntMs
    for (let oldest = looks[0]; oldest !== undefined && sum.idleMs - oldest.idleMs >= idleWindowMs; oldest = looks[0]) {
      looks.shift()
      sum.idleMs -= oldest.idleMs
      sum.burntMs -= oldest.burntMs
    }
    const isBurning = sum.idleMs >= idleWindowMs && sum.burntMs > sum.idleMs * idleShare
    return isBurning ? { kind: 'idle', cpuMs: sum.burntMs, idleMs: sum.idleMs } : undefined
  }

  return {
    look({ cpuMs, nowMs, idleMs, askedMs, open }) {
      const before = last
      last = { cpuMs, nowMs, idleMs, askedMs }
      const tookMs = Math.max(0, nowMs - before.nowMs)
      const spentMs = Math.max(0, cpuMs - before.cpuMs)
      const worst = charge(open, spentMs, nowMs, tookMs)
      if (worst !== undefined) return worst
      const burntMs = Math.max(0, spentMs - threadsOfCall * (askedMs - before.askedMs))
      return judgeIdle(idleMs - before.idleMs, burntMs)
    },
  }
}

/** To each by the time that it ran since the last look; what calls that were answered meanwhile spent is nobody's. */
function charge<S extends Spender>(
  open: readonly S[],
  spentMs: number,
  nowMs: number,
  tookMs: number,
): CpuVerdict<S> | undefined {
  const running = open.filter(({ isAwaiting }) => !isAwaiting)
  const charged = running.length > 0 ? running : open
  const ranMs = charged.map(({ startedMs }) => Math.min(tookMs, Math.max(0, nowMs - startedMs)))
  const allMs = Math.max(
    tookMs,
    ranMs.reduce((sum, ms) => sum + ms, 0),
  )
  if (allMs === 0) return undefined
  let worst: { spender: S; limitMs: number; share: number } | undefined
  for (const [index, spender] of charged.entries()) {
    spender.cpuMs += (spentMs * (ranMs[index] ?? 0)) / allMs
    const limitMs = spender.cpuLimitMs
    if (limitMs === undefined || spender.cpuMs <= limitMs) continue
    const share = spender.cpuMs / limitMs
    if (share > (worst?.share ?? 0)) worst = { spender, limitMs, share }
  }
  return worst === undefined ? undefined : { kind: 'call', spender: worst.spender, limitMs: worst.limitMs }
}
