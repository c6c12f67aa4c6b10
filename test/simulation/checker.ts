/** What a checker is: it hears what happens, may look at everything, and tells of breaches. */
import type { Cluster } from './cluster.ts'
import type { Controller } from './controller.ts'
import type { Observer } from './observer.ts'

export interface Scene {
  readonly cluster: Cluster
  /** The controller that lives now. */
  controller(): Controller
  /** Tells of a breach; the run goes on. */
  breach(text: string): void
}

export type Checker = (scene: Scene) => Observer

/** Of a rollout: a number of replicas, or so many of a hundred. */
export function count(value: number | string, desired: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value
  const share = (Number.parseFloat(value) / 100) * desired
  return round === 'up' ? Math.ceil(share) : Math.floor(share)
}
