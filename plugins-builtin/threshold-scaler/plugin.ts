/** Keeps what each replica has to bear between two thresholds of the app's targets. */
import { definePlugin, Type } from '@orchestry/sdk'
import { watchedMetrics } from './factors.ts'
import { propose } from './thresholds.ts'
import { createTrials } from './trials.ts'

const trials = createTrials()

export default definePlugin({
  config: Type.Object(
    {
      maxGrowthFactor: Type.Optional(
        Type.Number({
          exclusiveMinimum: 1,
          description:
            'Never votes more than this many times the present size at once. Without it only the load counts.',
        }),
      ),
      scaleInMarginPct: Type.Number({
        minimum: 0,
        maximum: 50,
        default: 10,
        description: 'How far below the scale-out threshold the load must lie after scaling in.',
      }),
      scaleInIgnores: Type.Array(Type.Union(watchedMetrics.map((metric) => Type.Literal(metric))), {
        default: ['latencyP95Ms'],
        description: 'Metrics that may lie between the thresholds without keeping the app from scaling in.',
      }),
      latencySamples: Type.Integer({
        minimum: 1,
        maximum: 1000,
        default: 5,
        description: 'Latency counts only with at least this many samples in the window.',
      }),
    },
    { additionalProperties: false },
  ),
  scaler: {
    metrics: [...watchedMetrics],
    decide({ app, metrics, config, hold }) {
      const proposal = propose(app, metrics, config, trials)
      return proposal.replicas === undefined
        ? hold(proposal.reason)
        : { replicas: proposal.replicas, reason: proposal.reason }
    },
  },
})
