/** Which ended replicas are still kept with their logs: the newest few of each app, and not too many of all apps together. */
import type { ProcessRecord, Records } from './process-record.ts'

const keptPerApp = 5
const keptInAll = 200

export interface History {
  has(id: string): boolean
  /** Keeps the ended replica and removes the folders of those that are one too many. */
  add(record: ProcessRecord): Promise<void>
}

export function createHistory(records: Pick<Records, 'remove'>, onForgotten: (id: string) => void = () => {}): History {
  /** Oldest first. */
  const kept: ProcessRecord[] = []
  return {
    has: (id) => kept.some((record) => record.id === id),
    add: async (record) => {
      kept.push(record)
      kept.sort((a, b) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0))
      const ofApp = kept.filter((other) => other.app === record.app)
      const extra = ofApp.length > keptPerApp ? ofApp[0] : kept.length > keptInAll ? kept[0] : undefined
      if (!extra) return
      kept.splice(kept.indexOf(extra), 1)
      onForgotten(extra.id)
      await records.remove(extra.id)
    },
  }
}
