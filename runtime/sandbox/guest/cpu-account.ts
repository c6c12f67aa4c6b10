/**
 * Which call of one isolate spent how much of its processor time. An isolate runs one thing at a time, so what was spent since
 * the last thing ended belongs to the one that ends now.
 */
export interface CpuAccount {
  begin(call: number): void
  /** A run for this call has ended, or its answer is there. */
  spend(call: number): void
  /** All that the call spent; it is forgotten. */
  close(call: number): number
  /** The host call was made from this call: what runs when it is answered is charged to the same. */
  ask(request: number, call: number): void
  /** Which call made the host call that is answered now. */
  asker(request: number): number
}

/** Of a host call nobody waits for. */
const noCall = -1

export function createCpuAccount(read: () => number): CpuAccount {
  const spentMs = new Map<number, number>()
  const askers = new Map<number, number>()
  let lastMs = read()
  return {
    begin: (call) => void spentMs.set(call, 0),
    spend(call) {
      const nowMs = read()
      const before = spentMs.get(call)
      if (before !== undefined) spentMs.set(call, before + Math.max(0, nowMs - lastMs))
      lastMs = nowMs
    },
    close(call) {
      const spent = spentMs.get(call) ?? 0
      spentMs.delete(call)
      return spent
    },
    ask: (request, call) => void askers.set(request, call),
    asker(request) {
      const call = askers.get(request) ?? noCall
      askers.delete(request)
      return call
    },
  }
}
