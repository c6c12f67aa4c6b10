import { definePlugin } from '@orchestry/sdk'
import { exchangeOf, resultOf } from './check.ts'

export default definePlugin({
  healthCheck: {
    protocol: 'TCP',
    async checkAll(inputs, { ctx }) {
      // All probes that are due leave in one crossing; each has its own timeout.
      const outcomes = await ctx.tcp.exchangeAll(inputs.map(exchangeOf))
      return inputs.map((_, index) => {
        const outcome = outcomes[index]
        return outcome === undefined ? { status: 'unknown', message: 'no outcome' } : resultOf(outcome)
      })
    },
  },
})
