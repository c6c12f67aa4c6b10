/** What a scaler is asked about an app: one replica of at most nine, and nothing measured. */
export const scalerInput = (name: string) => ({
  app: {
    name,
    labels: {},
    replicas: 1,
    healthyReplicas: 1,
    minReplicas: 1,
    maxReplicas: 9,
    targets: {},
    scaleOutThresholdPct: 80,
    scaleInThresholdPct: 50,
    windowSeconds: 20,
  },
  metrics: {},
})
