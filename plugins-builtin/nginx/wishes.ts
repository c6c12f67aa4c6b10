/** What nginx is to serve: kept across restarts, and brought back to what is live when nginx does not take it. */
import type { Context, Upstream } from '@orchestry/sdk'

export interface Wishes {
  /** What was wanted last, also by an earlier sandbox; what belongs to apps that are gone is forgotten. */
  load(ctx: Context): Promise<void>
  all(): ReadonlyMap<string, Upstream>
  of(app: string): Upstream | undefined
  /** False when nothing changed, or a newer one is known. */
  put(upstream: Upstream): boolean
  remove(app: string): boolean
  /** As it was in `before`, for every app that is still as it was in `after`. */
  restore(before: ReadonlyMap<string, Upstream>, after: ReadonlyMap<string, Upstream>): void
  /** Writes down what differs from what is written down. */
  keep(ctx: Context): Promise<void>
}

const prefix = 'upstream/'

export function createWishes(): Wishes {
  let wanted = new Map<string, Upstream>()
  let kept = new Map<string, Upstream>()

  const load = async (ctx: Context) => {
    const entries = await ctx.kv.list(prefix)
    kept = new Map(entries.map(({ key, value }) => [key.slice(prefix.length), value as Upstream]))
    const there = new Set((await ctx.apps.list()).map(({ name }) => name))
    const stored = [...kept].filter(([app]) => there.has(app))
    wanted = new Map([...stored, ...wanted])
  }

  return {
    load,
    all: () => new Map(wanted),
    of: (app) => wanted.get(app),
    put(upstream) {
      const known = wanted.get(upstream.app)
      if (known !== undefined && known.generation >= upstream.generation) return false
      wanted.set(upstream.app, upstream)
      return true
    },
    remove: (app) => wanted.delete(app),
    restore(before, after) {
      for (const app of new Set([...before.keys(), ...after.keys()])) {
        if (wanted.get(app) !== after.get(app)) continue
        const was = before.get(app)
        if (was === undefined) wanted.delete(app)
        else wanted.set(app, was)
      }
    },
    async keep(ctx) {
      const next = new Map(wanted)
      const gone = [...kept.keys()].filter((app) => !next.has(app))
      const changed = [...next].filter(([app, upstream]) => kept.get(app) !== upstream)
      await Promise.all([
        ...changed.map(([app, upstream]) => ctx.kv.put(prefix + app, upstream)),
        ...gone.map((app) => ctx.kv.delete(prefix + app)),
      ])
      kept = next
    },
  }
}
