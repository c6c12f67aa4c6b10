/** Goes on with what a replica of a memory world writes. */
import { OrchestryError } from '../errors.ts'
import type { LogLine } from './driver.ts'
import type { MemoryWorld } from './memory-world.ts'

export async function* followWorld(
  world: MemoryWorld,
  id: string,
  { lines, signal }: { lines: number; signal: AbortSignal },
): AsyncGenerator<readonly LogLine[]> {
  const all = world.logs.get(id)
  if (!all) throw new OrchestryError('ORC_INSTANCE_UNKNOWN', `The memory driver knows no instance ${id}.`)
  let seen = (world.written.get(id) ?? 0) - Math.min(all.length, Math.max(0, lines))
  while (!signal.aborted) {
    const news = Promise.withResolvers<void>()
    const wake = () => news.resolve()
    const hear = (of: { id: string } | string) => (typeof of === 'string' ? of : of.id) === id && wake()
    world.readers.add(hear)
    world.watchers.add(hear)
    signal.addEventListener('abort', wake, { once: true })
    try {
      const isRunning = world.instances.get(id)?.isRunning === true
      const written = world.written.get(id) ?? 0
      const missing = (world.logs.get(id) ?? []).slice(-Math.max(1, written - seen))
      if (written > seen) {
        seen = written
        yield missing
      } else if (!isRunning) return
      else await news.promise
    } finally {
      world.readers.delete(hear)
      world.watchers.delete(hear)
      signal.removeEventListener('abort', wake)
    }
  }
}
