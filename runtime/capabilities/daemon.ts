/** Servers that plugins were allowed to leave running: what is known of one, and who keeps them. */
import type { DaemonStatus } from '@orchestry/sdk'

/** What is to run. The same server with another path, other arguments or another end is another one. */
export interface DaemonSpec {
  readonly plugin: string
  readonly instance: string
  /** Name of the command in the grant. */
  readonly command: string
  readonly path: string
  readonly digest: string
  readonly args: readonly string[]
  readonly isInOwnDir: boolean
  readonly stopSignal: NodeJS.Signals
  readonly stopMs: number
}

export type DaemonName = Pick<DaemonSpec, 'plugin' | 'instance' | 'command'>

export interface Daemons {
  /** Idempotent; what runs under this name with other arguments is stopped first. @throws OrchestryError when it cannot be started. */
  start(spec: DaemonSpec): Promise<DaemonStatus>
  /** Resolves when no process of it is left. Idempotent. */
  stop(name: DaemonName): Promise<void>
  /** @throws ORC_CAPABILITY_FAILED when it does not run. */
  signal(name: DaemonName, signal: NodeJS.Signals): Promise<void>
  status(name: DaemonName): Promise<DaemonStatus>
  /** Takes over what an earlier Orchestry left running, and starts again what has died since. */
  adopt(): Promise<void>
  /** Ends every one that is not wanted any more: its plugin is disabled, removed, or was granted less. */
  retain(isWanted: (spec: DaemonSpec) => boolean): Promise<void>
  /** With `keep` they go on without us, for the next Orchestry to adopt. */
  close(options: { keep: boolean }): Promise<void>
}
