import { definePlugin } from '@orchestry/sdk'
import { requestOf, resultOf } from './check.ts'

export default definePlugin({
  healthCheck: {
    protocol: 'HTTP',
    async checkAll(inputs, { ctx }) {
      // All probes that are due leave in one crossing; each has its own timeout.
      const outcomes = await ctx.net.fetchAll(inputs.map(requestOf))
      return inputs.map((input, index) => {
        const outcome = outcomes[index]
        return outcome === undefined ? { status: 'unknown', message: 'no outcome' } : resultOf(input, outcome)
      })
    },
  },
})
