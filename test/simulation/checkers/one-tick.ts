/** One tick at a time: no scaler is asked about an app before it has answered, and decisions are numbered as they are made. */
import type { Checker } from '../checker.ts'

export const oneTick: Checker = ({ breach }) => {
  let asked = new Set<string>()
  const newest = new Map<string, { id: string; atMs: number }>()
  return {
    born() {
      asked = new Set()
    },
    scalerAsked(scaler, apps) {
      for (const app of apps) {
        const key = `${scaler} ${app}`
        if (asked.has(key)) breach(`${scaler} is asked about ${app} while it is asked already`)
        asked.add(key)
      }
    },
    scalerAnswered(scaler, apps) {
      for (const app of apps) asked.delete(`${scaler} ${app}`)
    },
    decisionStored({ app, id, atMs }) {
      const before = newest.get(app)
      if (before !== undefined && id <= before.id) breach(`${app}: decision ${id} comes after ${before.id}`)
      newest.set(app, { id, atMs })
    },
  }
}
