/** Specs of simulated apps, drawn by chance. */
export const appNames = ['a', 'b', 'c']
export const versions = ['v1', 'v2', 'v3']

const rollouts = [
  { maxSurge: 1, maxUnavailable: 0, drainSeconds: 3, stopGraceSeconds: 1 },
  { maxSurge: 2, maxUnavailable: 1, drainSeconds: 0, stopGraceSeconds: 1 },
  { maxSurge: 0, maxUnavailable: 1, drainSeconds: 2, stopGraceSeconds: 2 },
  { maxSurge: 3, maxUnavailable: 0, drainSeconds: 1, stopGraceSeconds: 1 },
]
const check = { path: '/', periodSeconds: 4, timeoutSeconds: 1, failureThreshold: 2 }

export function specText(name: string, version: string, chance: () => number): string {
  const below = (most: number) => Math.floor(chance() * most)
  const minReplicas = 1 + below(2)
  const mode = chance() < 0.5 ? 'manual' : 'auto'
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'App',
    metadata: { name },
    spec: { command: ['serve', version] },
    scaling: {
      mode,
      minReplicas,
      maxReplicas: minReplicas + below(5),
      windowSeconds: 10,
      cooldownSeconds: { out: 1, in: 10 },
      behavior: { scaleIn: { stabilizationWindowSeconds: 10 } },
      ...(chance() < 0.3 ? { scalers: ['first', 'second'] } : {}),
      ...(chance() < 0.2 ? { fallback: { afterSeconds: 10, replicas: minReplicas } } : {}),
    },
    ...(chance() < 0.75 ? { healthCheck: check } : {}),
    rollout: rollouts[below(rollouts.length)],
  })
}
