import { definePlugin, Type } from '@orchestry/sdk'

export default definePlugin({
  config: Type.Object({ jobsPerReplica: Type.Number({ minimum: 1, default: 50 }) }),
  scaler: {
    metrics: ['queueDepth'],
    decide({ metrics, config, hold }) {
      const depth = metrics.queueDepth?.last
      if (depth == null) return hold('no fresh sample of queueDepth')
      return { replicas: Math.ceil(depth / config.jobsPerReplica), reason: `${depth} jobs are waiting` }
    },
  },
})
