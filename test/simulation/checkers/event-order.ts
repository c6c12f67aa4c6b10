/** Events are numbered in the order in which they are heard, and tell of each outcome once. */
import type { Checker } from '../checker.ts'

/** What can be told of a replica only once in its whole life. */
const once = new Set(['instance.started', 'instance.stopped', 'instance.exited', 'instance.failed'])
/** After these nothing can happen to it. */
const last = new Set(['instance.stopped', 'instance.exited'])

export const eventOrder: Checker = ({ breach }) => {
  let newest = ''
  const told = new Set<string>()
  const ended = new Set<string>()
  return {
    /** Whoever was taken out for a failure has another chance with another controller. */
    born() {
      for (const key of told) if (key.startsWith('instance.failed')) told.delete(key)
    },
    eventStored({ id, type, data }) {
      if (id <= newest) breach(`event ${id} comes after ${newest}`)
      newest = id
      const instance = String(data.instance)
      if (!once.has(type)) {
        if (ended.has(instance) && type === 'instance.healthy') breach(`${instance} is healthy after its end`)
        return
      }
      if (told.has(`${type} ${instance}`)) breach(`${type} is told twice of ${instance}`)
      told.add(`${type} ${instance}`)
      if (last.has(type)) {
        if (ended.has(instance)) breach(`${instance} has ended twice`)
        ended.add(instance)
      }
    },
  }
}
