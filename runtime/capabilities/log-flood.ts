/** Bounds how much one plugin instance may say: in a second, and in a minute. What is above is dropped and counted. */
import type { Clock } from '../clock.ts'
import { pluginDefaults } from '../limits.ts'
import type { Caller } from './capability.ts'

const kbPerSecond = 64

export interface FloodGate {
  /** Whether a line of so many bytes may pass; if not, it is counted. */
  admits(bytes: number): boolean
  dispose(): void
}

interface Window {
  readonly name: string
  readonly lengthMs: number
  readonly allowedBytes: number
  endsMs: number
  bytes: number
}

/** `report` is called once for each window that dropped something, at its end. */
export function createFloodGate(
  { limits }: Pick<Caller, 'limits'>,
  clock: Pick<Clock, 'monotonic' | 'after'>,
  report: (message: string) => void,
): FloodGate {
  const window = (name: string, lengthMs: number, kb: number): Window => {
    return { name, lengthMs, allowedBytes: kb * 1024, endsMs: 0, bytes: 0 }
  }
  const kbPerMinute = limits?.logKbPerMin ?? pluginDefaults.logKbPerMin
  // The longer one first: where both are full, it is the one that stays shut.
  const windows = [window('minute', 60_000, kbPerMinute), window('second', 1_000, kbPerSecond)]
  let dropped = 0
  let full: Window | undefined
  let cancel = () => {}

  function tell(): void {
    cancel()
    if (dropped === 0 || full === undefined) return
    const count = dropped
    dropped = 0
    report(`dropped ${count} log lines: more than ${full.allowedBytes / 1024} KB in a ${full.name}`)
  }

  return {
    admits(bytes) {
      const nowMs = clock.monotonic()
      for (const one of windows) {
        if (nowMs < one.endsMs) continue
        if (one === full) tell()
        one.endsMs = nowMs + one.lengthMs
        one.bytes = 0
      }
      const shut = windows.find((one) => one.bytes + bytes > one.allowedBytes)
      if (shut === undefined) {
        for (const one of windows) one.bytes += bytes
        return true
      }
      dropped += 1
      if (dropped === 1) {
        full = shut
        cancel = clock.after(shut.endsMs - nowMs, tell)
      }
      return false
    },
    dispose: tell,
  }
}
