/** An app as the runtime works with it: the spec complete with every default, and what is wanted of it now. */
import type { HealthCheck, Route, Targets } from '@orchestry/sdk'
import type { ContainerSecurity, Volume } from '../drivers/driver.ts'

export type EnvEntry =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly secret: string }
  | { readonly name: string; readonly field: 'instance.ip' | 'instance.port' | 'app.name' | 'app.replicas' }

export interface ScalingRule {
  readonly stabilizationWindowSeconds: number
  /** Most change within the period. Empty = no limit. */
  readonly policies: readonly {
    readonly type: 'replicas' | 'percent'
    readonly value: number
    readonly periodSeconds: number
  }[]
  /** Of several policies: the one that allows most, or least. Absent = max. */
  readonly select?: 'max' | 'min'
  readonly isDisabled: boolean
}

export interface Scaling {
  readonly mode: 'auto' | 'manual'
  readonly minReplicas: number
  readonly maxReplicas: number
  /** What a new app begins with; in manual mode also what a changed spec sets. */
  readonly replicas?: number
  readonly targets: Targets
  readonly scaleOutThresholdPct: number
  readonly scaleInThresholdPct: number
  readonly windowSeconds: number
  readonly cooldownSeconds: { readonly out: number; readonly in: number }
  readonly behavior: { readonly scaleOut: ScalingRule; readonly scaleIn: ScalingRule }
  /** Names of plugin instances; absent = the default ones. */
  readonly scalers?: readonly string[]
  /** What an erroring scaler counts as after a time; absent = it goes on vetoing scale-in. */
  readonly fallback?: { readonly afterSeconds: number; readonly replicas: number }
}

/** A number of replicas, or a share of the wanted ones such as `25%`. */
export type ReplicaShare = number | `${number}%`

export interface Rollout {
  readonly maxSurge: ReplicaShare
  readonly maxUnavailable: ReplicaShare
  /** A new replica counts as a successor when it has served for so long. Absent = at once. */
  readonly minReadySeconds?: number
  /** Without progress for so long a rollout is rolled back. Absent = never for this reason. */
  readonly progressDeadlineSeconds?: number
  readonly drainSeconds: number
  readonly stopGraceSeconds: number
}

/** The spec with all defaults filled in. The text a user submitted is kept beside it. */
export interface App {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly driver: string
  readonly image?: string
  /** argv of a process; in place of the image's entrypoint for a container. */
  readonly command: readonly string[]
  /** Only with an image: behind the command; without one, in place of the arguments that the image brings. Absent = none. */
  readonly args?: readonly string[]
  readonly workingDir?: string
  readonly env: readonly EnvEntry[]
  readonly ports: readonly {
    readonly containerPort: number
    readonly protocol: 'HTTP' | 'TCP'
    readonly name?: string
  }[]
  readonly cpuMilli?: number
  readonly memoryBytes?: number
  /** Most processes and threads of a container. Absent = what the operator's policy says. */
  readonly pids?: number
  /** Named volumes, for containers. Absent = none. */
  readonly volumes?: readonly Volume[]
  /** What a container gets beyond the least. Absent = nothing. */
  readonly security?: ContainerSecurity
  readonly ingress: Route & { readonly loadBalancer?: string }
  readonly scaling: Scaling
  /** Absent = a replica is healthy as long as it runs. */
  readonly healthCheck?: HealthCheck
  readonly rollout: Rollout
}

export interface AppRecord {
  readonly app: App
  /** The text as submitted, and whether it was YAML or JSON. */
  readonly source: string
  /** Hash of what running replicas depend on (image, command, env, resources, …): another hash = rollout. */
  readonly version: string
  /** How often all replicas were to be replaced without another spec. Absent = never. */
  readonly restarts?: number
  /** Replicas wanted while running; survives stop and restart. */
  readonly desired: number
  readonly isRunning: boolean
  /** Scaling suspended: not at all, both ways, or one way. */
  readonly paused: 'none' | 'all' | 'in' | 'out'
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** Of the stored record: the ETag. */
  readonly revision: number
}

export type AppChange = { readonly name: string; readonly record?: AppRecord; readonly previous?: AppRecord }

/** The room's port: every app, held in memory and written through to the store before anything else sees it. */
export interface Apps {
  list(): AppRecord[]
  get(name: string): AppRecord | undefined
  /** The record, or ORC_APP_UNKNOWN with the names that exist. */
  require(name: string): AppRecord
  /**
   * Validates, then creates or replaces. `ifAbsent` throws ORC_APP_EXISTS. `expectedRevision` throws ORC_API_PRECONDITION.
   * `keepScaling` takes the scaling section from what is there, not from the text.
   */
  apply(
    text: string,
    options?: { ifAbsent?: boolean; expectedRevision?: number; expectedName?: string; keepScaling?: boolean },
  ): Promise<{ record: AppRecord; outcome: 'created' | 'changed' | 'unchanged' }>
  remove(name: string): Promise<void>
  /** Also clamps to the app's bounds; returns the record as stored. */
  setDesired(name: string, replicas: number): Promise<AppRecord>
  setRunning(name: string, isRunning: boolean): Promise<AppRecord>
  setPaused(name: string, paused: AppRecord['paused']): Promise<AppRecord>
  setScaling(name: string, patch: unknown): Promise<AppRecord>
  /** Makes a new version of the same spec, so that every replica is replaced. */
  restart(name: string): Promise<AppRecord>
  onChange(listener: (change: AppChange) => void): () => void
}
