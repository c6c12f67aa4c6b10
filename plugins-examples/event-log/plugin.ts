import { definePlugin } from '@orchestry/sdk'

export default definePlugin({
  eventHandler: {
    events: ['app.scaled', 'instance.exited'],
    async handle(event, { ctx }) {
      // Events come at least once: the id of the last one tells a repetition.
      const key = `last:${event.app ?? 'runtime'}`
      if ((await ctx.kv.get(key)) === event.id) return
      const { from, to, reason } = event.data
      ctx.log.info(
        event.type === 'app.scaled' ? `${event.app}: ${from} → ${to} (${reason})` : `${event.app}: ${event.type}`,
        { id: event.id },
      )
      await ctx.kv.put(key, event.id)
    },
  },
})
