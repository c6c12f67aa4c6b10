/** The port of the page: its files, and the one message it is drawn from. The API sends it, the page reads it. */
import type { OrchestryEvent } from '@orchestry/sdk'
import type { Decision } from '../scaling/decision.ts'

export interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>
  readonly contentType: string
  /** Quoted, as it stands in the header. */
  readonly etag: string
}

export interface Dashboard {
  /** By the path of the request; undefined where the page has no such file. Rejects when the page cannot be compiled. */
  file(path: string): Promise<PageFile | undefined>
}

type DecisionShown = Pick<Decision, 'id' | 'app' | 'atMs' | 'action' | 'from' | 'to' | 'reason' | 'by'> & {
  readonly winner?: string | undefined
}

interface AppShown {
  readonly name: string
  readonly phase: string
  readonly desired: number
  readonly running: number
  readonly serving: number
  readonly generation: number
  readonly problems: readonly string[]
  /** How a rollout fares, in one line, and what starts wait for. */
  readonly rollout?: string | undefined
  readonly progress?: readonly string[] | undefined
  readonly mode: string
  readonly minReplicas: number
  readonly maxReplicas: number
  readonly paused: string
  readonly route: { readonly host?: string | undefined; readonly path: string }
  /** Of the newest tick, also when it was to hold. */
  readonly decision?: DecisionShown | undefined
  /** Newest value of every metric that has a fresh one: what is absent is not known, and not zero. */
  readonly load: Readonly<Record<string, number>>
}

interface PluginShown {
  readonly id: string
  readonly version: string
  readonly state: string
  readonly problem?: string | undefined
  readonly hooks: readonly string[]
  readonly restarts: number
  readonly memoryMb: number
  readonly instances: readonly { readonly name: string; readonly breaker: string }[]
  /** How many are remembered; `GET /api/v1/plugins/{id}` tells them. */
  readonly incidents: number
}

/** One `snapshot` of `GET /api/v1/stream`. */
export interface Snapshot {
  readonly atMs: number
  /** Where apps' traffic comes in; absent while it cannot. */
  readonly proxy?: { readonly host: string; readonly port: number } | undefined
  /** What `/readyz` says is missing. */
  readonly problems: readonly string[]
  readonly apps: readonly AppShown[]
  /** Newest first. */
  readonly decisions: readonly DecisionShown[]
  readonly plugins: readonly PluginShown[]
  /** Newest first. */
  readonly events: readonly OrchestryEvent[]
}
