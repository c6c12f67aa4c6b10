/** The port of traffic: which replicas of an app take requests, told to the load balancer plugin that carries the app. */
import type { Endpoint, Route, UpstreamStatus } from '@orchestry/sdk'

export interface Balancing {
  /**
   * Hands the whole upstream of an app to its load balancer. Resolves when the load balancer has taken it. On failure the last
   * good generation stays, the call is repeated with backoff until it succeeds or a newer one replaces it, and it resolves false.
   */
  publish(
    app: string,
    upstream: { route: Route; endpoints: readonly Endpoint[]; draining: readonly Endpoint[]; loadBalancer?: string },
  ): Promise<boolean>
  /** False when the load balancer could not be told yet: it is tried again, and another call waits for the next try. */
  remove(app: string): Promise<boolean>
  status(app: string): Promise<UpstreamStatus | null>
  /** Of the newest upstream that the load balancer has taken. */
  generation(app: string): number
  problem(app: string): string | undefined
  /** Publishes every upstream again, for a load balancer that has just (re)started. */
  republish(): void
  stop(): Promise<void>
}
