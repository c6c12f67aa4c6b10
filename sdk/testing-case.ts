/** Inputs of scalers, as short as a test wants to write them. */
import type { AppView, MetricWindow, ScalerInput } from './model.ts'

/**
 * An input of a scaler with only what matters for the test: the rest of the app is one healthy replica between 1 and 10, and a
 * bare number is a window in which every sample had this value.
 */
export interface ScalerCase {
  readonly app?: Partial<AppView>
  readonly metrics?: Readonly<Record<string, number | Partial<MetricWindow>>>
}

/** A complete scaler input from what a test cares about; what it does not name is an ordinary app. */
export function scalerInput({ app = {}, metrics = {} }: ScalerCase): ScalerInput {
  const replicas = app.replicas ?? 1
  return {
    app: {
      name: 'app',
      labels: {},
      replicas,
      healthyReplicas: replicas,
      minReplicas: 1,
      maxReplicas: 10,
      targets: {},
      scaleOutThresholdPct: 80,
      scaleInThresholdPct: 30,
      windowSeconds: 20,
      ...app,
    },
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, window]) => [name, windowOf(window)])),
  }
}

function windowOf(given: number | Partial<MetricWindow>): MetricWindow {
  if (typeof given !== 'number') return { ...windowOf(given.last ?? given.mean ?? 0), ...given }
  return { last: given, mean: given, min: given, max: given, p95: given, samples: 20, ageSeconds: 1 }
}
