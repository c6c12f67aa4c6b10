/** The port of the embedded reverse proxy: a process of its own that carries the apps' traffic, driven from here. */
import type { EndpointSignal, Sample, Upstream, UpstreamStatus } from '@orchestry/sdk'

export interface Dataplane {
  /**
   * Replaces the whole upstream of one app. A lower generation than the one in place is ignored. It is remembered, and applied
   * again to every new proxy process before that takes traffic.
   * @throws ORC_DATAPLANE_UNAVAILABLE when the process did not take it in time.
   */
  apply(upstream: Upstream): Promise<void>
  remove(app: string): Promise<void>
  /** Null when the proxy has no route for the app. States: `serving`, `draining`, `refusing`, `removed` (finishing its last). */
  status(app: string): Promise<UpstreamStatus | null>
  /** One set of samples per routed app, over the last two seconds. What was not seen has no sample. */
  traffic(): Promise<Sample[]>
  /** Requests to endpoints since this was last asked, of those endpoints where some found nobody or were cut off. */
  signals(): Promise<EndpointSignal[]>
  /**
   * Adopts the proxy process of this data directory when it fits, else starts one. Resolves when it listens.
   * @throws ORC_CONFIG_PORT_IN_USE, ORC_DATAPLANE_UNAVAILABLE
   */
  start(): Promise<void>
  /** `keep` leaves the process serving for the next controller to adopt; otherwise it drains and ends. */
  stop(options: { keep: boolean }): Promise<void>
  /** Where apps' traffic comes in; absent before `start`. */
  address(): { readonly host: string; readonly port: number } | undefined
  /** Why it does not carry traffic right now, for people. */
  problem(): string | undefined
  /** The process died or went deaf, and a new one has taken over with every remembered upstream. */
  onRestarted(listener: () => void): () => void
}
