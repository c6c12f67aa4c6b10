/** What is wanted lies within min and max at all times, and changes only by an operator's word or a stored decision. */
import type { Checker } from '../checker.ts'

export const bounds: Checker = ({ cluster, controller, breach }) => {
  /** By app: the newest stored decision. */
  return {
    began() {
      for (const { app, desired } of controller().apps.list())
        if (desired < app.scaling.minReplicas || desired > app.scaling.maxReplicas)
          breach(`${app.name} was stored with ${desired}, which is out of bounds`)
    },
    recordChanged({ name, record, previous }) {
      if (!record) return
      const { minReplicas, maxReplicas, mode } = record.app.scaling
      if (record.desired < minReplicas || record.desired > maxReplicas)
        breach(`${name} is to have ${record.desired}, bounds are ${minReplicas} to ${maxReplicas}`)
      if (!previous || previous.desired === record.desired || previous.app !== record.app) return
      cluster.store
        .list<{ app: string; to: number; by: string; from: number }>({ prefix: ['decision'], reverse: true, limit: 20 })
        .then((found) => {
          const why = found
            .map(({ value }) => value)
            .find(({ app, to, from }) => app === name && to === record.desired && from === previous.desired)
          if (!why) breach(`${name} went from ${previous.desired} to ${record.desired} without a stored decision`)
          else if (mode === 'manual' && why.by === 'scaler')
            breach(`${name} is scaled by hand, and went from ${previous.desired} to ${record.desired} by a scaler`)
        })
    },
  }
}
