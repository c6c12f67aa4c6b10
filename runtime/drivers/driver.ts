/** The port of whatever runs replicas: local processes, Docker, Swarm, memory. */

/** One running replica as its driver sees it. */
export interface Instance {
  readonly id: string
  readonly app: string
  /** Hash of everything in the spec that the running replica depends on; another hash is another version. */
  readonly version: string
  /** IP address and port that the replica listens on, as seen from here. */
  readonly host: string
  readonly port: number
  readonly startedAtMs: number
  readonly pid?: number
  readonly isRunning: boolean
  readonly exit?: { readonly code: number | null; readonly signal: string | null }
}

export interface StartRequest {
  readonly id: string
  readonly app: string
  readonly version: string
  /** argv; the process driver needs it, a container may bring its own. */
  readonly command: readonly string[]
  readonly workingDir?: string
  readonly env: Readonly<Record<string, string>>
  /** Environment entries whose value is a fact of the instance, filled in by the driver. */
  readonly envFields: Readonly<Record<string, 'instance.ip' | 'instance.port'>>
  readonly cpuMilli?: number
  readonly memoryBytes?: number
  readonly containerPort?: number
  readonly image?: string
}

/** Share of the replica's own limit; of one core, or of the machine's memory, where it has none. */
export interface Usage {
  readonly cpuPercent: number
  readonly memoryPercent: number
  readonly memoryBytes: number
}

export interface LogLine {
  readonly instance: string
  readonly stream: 'stdout' | 'stderr'
  readonly line: string
}

export type DriverEvent =
  /** An instance ended that this driver was not asked to stop. The next `list` reports it too, once. */
  | { readonly type: 'exited'; readonly instance: Instance }
  /** The driver's view may have holes: list again. */
  | { readonly type: 'resync' }

export interface Driver {
  readonly name: string
  /** Every instance that belongs to this controller, running or found dead since the last call. Adopts what it did not start. */
  list(): Promise<Instance[]>
  /** Resolves when the replica runs (not when it answers). Throws ORC_DRIVER_START_FAILED and leaves nothing behind. */
  start(request: StartRequest): Promise<Instance>
  /** Asks the replica to end, forces it after the grace time. Idempotent; resolves when it is gone. */
  stop(id: string, options: { graceSeconds: number }): Promise<void>
  usage(ids: readonly string[]): Promise<ReadonlyMap<string, Usage>>
  /** The newest lines, oldest first. Kept for a while after the instance has ended. */
  logs(id: string, options: { lines: number }): Promise<LogLine[]>
  watch(listener: (event: DriverEvent) => void): () => void
  /** `keep` leaves the instances running for the next controller to adopt. */
  close(options: { keep: boolean }): Promise<void>
}
