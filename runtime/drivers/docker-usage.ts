/** Resource use from what an engine measures. Pure. */
import type { Usage } from './driver.ts'

/** One measurement, as the engine sends it about once a second. */
export interface EngineStats {
  readonly read?: string
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } }
  readonly memory_stats?: {
    readonly usage?: number
    readonly limit?: number
    readonly stats?: { readonly inactive_file?: number; readonly total_inactive_file?: number }
  }
}

export interface Measurement {
  readonly atMs: number
  readonly cpuMs: number
  readonly memoryBytes: number
  /** The limit of the container, or what the machine has. */
  readonly limitBytes: number
}

/** Undefined for a measurement without content: of a container that starts, or ends. */
export function measurementOf({ read = '', cpu_stats, memory_stats }: EngineStats): Measurement | undefined {
  const atMs = Date.parse(read)
  const cpuNs = cpu_stats?.cpu_usage?.total_usage
  const { usage, limit = 0, stats } = memory_stats ?? {}
  if (!(atMs > 0) || cpuNs === undefined || usage === undefined || !(limit > 0)) return undefined
  // Files that were read and can be dropped at any time are no need of the app. The first name is of cgroup v1, where the other
  // counts without the groups below.
  const cacheBytes = stats?.total_inactive_file ?? stats?.inactive_file ?? 0
  return { atMs, cpuMs: cpuNs / 1e6, memoryBytes: Math.max(0, usage - cacheBytes), limitBytes: limit }
}

/** CPU between two measurements, in percent of `cpuMilli` or of one core. */
export function usageOf(
  before: Measurement,
  now: Measurement,
  { cpuMilli = 1000, memoryBytes: boundBytes }: { cpuMilli?: number; memoryBytes?: number },
): Usage {
  const spanMs = Math.max(1, now.atMs - before.atMs)
  const usedMs = Math.max(0, now.cpuMs - before.cpuMs)
  return {
    cpuPercent: (usedMs / spanMs / (cpuMilli / 1000)) * 100,
    memoryPercent: (now.memoryBytes / (boundBytes ?? now.limitBytes)) * 100,
    memoryBytes: now.memoryBytes,
  }
}
