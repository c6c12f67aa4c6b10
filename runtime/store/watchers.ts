/** Who is told of changes, and of which: the same for every implementation of the store. */
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { startsWith } from './key.ts'
import { changesOf, type Step } from './prepared.ts'
import type { Change, Key, Store } from './store.ts'

export interface Watchers {
  readonly watch: Store['watch']
  /** A listener that throws hinders neither the others nor the write, which is on disk already. */
  notify(steps: readonly Step[]): void
  clear(): void
}

export function createWatchers(log?: Pick<Log, 'error'>): Watchers {
  const watchers = new Set<{ prefix: Key; listener: (changes: readonly Change[]) => void }>()
  return {
    watch(prefix, listener) {
      const watcher = { prefix: [...prefix], listener }
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    notify(steps) {
      for (const { prefix, listener } of [...watchers]) {
        const own = steps.filter(({ key }) => startsWith(key, prefix))
        if (own.length === 0) continue
        try {
          listener(changesOf(own))
        } catch (error) {
          log?.error({ prefix, error: messageOf(error) }, 'a listener of the store threw; the write itself is done')
        }
      }
    },
    clear: () => watchers.clear(),
  }
}
