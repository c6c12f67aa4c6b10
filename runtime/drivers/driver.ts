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
  readonly exit?: {
    readonly code: number | null
    readonly signal: string | null
    /** The kernel ended it because it used more memory than its limit. */
    readonly isOutOfMemory?: true
  }
}

export interface StartRequest {
  readonly id: string
  readonly app: string
  readonly version: string
  /** argv; the process driver needs it. In a container it replaces the image's entrypoint; empty = what the image says. */
  readonly command: readonly string[]
  /** Of a container: behind the command; without one, in place of the arguments that the image brings. */
  readonly args?: readonly string[]
  readonly workingDir?: string
  readonly env: Readonly<Record<string, string>>
  /** Environment entries whose value is a fact of the instance, filled in by the driver. */
  readonly envFields: Readonly<Record<string, 'instance.ip' | 'instance.port'>>
  readonly cpuMilli?: number
  readonly memoryBytes?: number
  /** Most processes and threads of a container. Absent = what the driver holds for enough. */
  readonly pids?: number
  /** Of `ports` the one that takes the traffic. */
  readonly containerPort?: number
  readonly ports?: readonly { readonly containerPort: number; readonly protocol: 'HTTP' | 'TCP' }[]
  readonly image?: string
  readonly volumes?: readonly Volume[]
  readonly security?: ContainerSecurity
}

/** A named volume of the app, the same for all its replicas; the driver prefixes its name so that no app can name another's. */
export interface Volume {
  readonly name: string
  readonly mountPath: string
  readonly isReadOnly: boolean
}

/** What a container gets beyond the least: absent = no capability, the image's user, nothing to write but volumes and /tmp. */
export interface ContainerSecurity {
  /** `uid` or `uid:gid`, in numbers. */
  readonly runAsUser?: string
  readonly isRootWritable: boolean
  /** Names without `CAP_`; what the operator's policy allows has been checked before. */
  readonly capabilities: readonly string[]
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
  /** When it was written, where the driver knows. */
  readonly atMs?: number
}

export type DriverEvent =
  /** An instance ended that this driver was not asked to stop. The next `list` reports it too, once. */
  | { readonly type: 'exited'; readonly instance: Instance }
  /** The driver's view may have holes: list again. */
  | { readonly type: 'resync' }

export interface Driver {
  readonly name: string
  /**
   * Fetches what a start of this request would have to wait for (an image), so that starts are quick and a slow fetch keeps no
   * place among them. Safe to call for every replica: what is there already costs nothing, and requests for the same share one
   * fetch. `onProgress` gets a line for people, such as "pulling shop:1.4, 38 of 120 MB". Throws like `start`.
   */
  prepare?(
    request: StartRequest,
    options: { readonly onProgress: (line: string) => void; readonly signal: AbortSignal },
  ): Promise<void>
  /** Every instance that belongs to this controller, running or found dead since the last call. Adopts what it did not start. */
  list(): Promise<Instance[]>
  /**
   * Resolves when the replica runs (not when it answers).
   * Throws ORC_DRIVER_START_FAILED and leaves nothing behind; ORC_DRIVER_UNAVAILABLE where the app is not at fault.
   */
  start(request: StartRequest): Promise<Instance>
  /** Asks the replica to end, forces it after the grace time. Idempotent; resolves when it is gone. */
  stop(id: string, options: { graceSeconds: number }): Promise<void>
  usage(ids: readonly string[]): Promise<ReadonlyMap<string, Usage>>
  /** The newest lines, oldest first. Kept for a while after the instance has ended. */
  logs(id: string, options: { lines: number }): Promise<LogLine[]>
  /**
   * The newest lines, then every later one, each once, at the pace of whoever reads: nothing is kept for a slow reader beyond what
   * `logs` keeps, and what it missed because of that is left out. Ends when the instance has and all is read, or on `signal`.
   * A driver without it is asked for its newest `logs` again and again.
   */
  follow?(id: string, options: { lines: number; signal: AbortSignal }): AsyncIterable<readonly LogLine[]>
  watch(listener: (event: DriverEvent) => void): () => void
  /** `keep` leaves the instances running for the next controller to adopt. */
  close(options: { keep: boolean }): Promise<void>
}
