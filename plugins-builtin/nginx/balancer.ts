/** Brings what is wanted and what is live together: many apps at once are one change of nginx. */
import type { Context, Upstream, UpstreamStatus } from '@orchestry/sdk'
import { render } from './render.ts'
import { goLive, liveId } from './server.ts'
import type { Settings } from './settings.ts'
import { siteOf } from './site.ts'
import { endpointAddress } from './tokens.ts'
import { createWishes } from './wishes.ts'

export interface Balancer {
  /** Resolves when it is live. */
  apply(ctx: Context, settings: Settings, upstream: Upstream): Promise<void>
  remove(ctx: Context, settings: Settings, app: string): Promise<void>
  /** Sees to it that nginx runs and serves what is wanted. */
  converge(ctx: Context, settings: Settings): Promise<void>
  status(ctx: Context, settings: Settings, app: string): Promise<UpstreamStatus | null>
  apps(): readonly string[]
  /** Whose address it is, of those that were live since this one was. */
  idOf(app: string, address: string): string | undefined
}

interface Pass {
  readonly covers: number
  readonly error?: Error
}

export function createBalancer(): Balancer {
  const wishes = createWishes()
  let live: ReadonlyMap<string, Upstream> = new Map()
  let asked = 0
  let last: Pass = { covers: 0 }
  let running: Promise<Pass> | undefined
  let isEnsured = false
  let loading: Promise<void> | undefined

  async function pass(ctx: Context, settings: Settings): Promise<Pass> {
    let covers = asked
    let snapshot = wishes.all()
    try {
      const before = await liveId(ctx, settings)
      // Whatever was asked for meanwhile goes along.
      covers = asked
      snapshot = wishes.all()
      const next = render(snapshot.values(), settings)
      if (before === next.id) await ensure(ctx, settings)
      else await goLive(ctx, settings, next, before)
      live = snapshot
      await wishes.keep(ctx)
      return { covers }
    } catch (thrown) {
      wishes.restore(live, snapshot)
      return { covers, error: thrown instanceof Error ? thrown : new Error(String(thrown)) }
    }
  }

  /** What runs belongs to us, with the program that was agreed to last: told once, because it changes nothing. */
  async function ensure(ctx: Context, settings: Settings): Promise<void> {
    const site = siteOf(ctx, settings)
    if (isEnsured || !(await site.isRunning())) return
    await site.start()
    isEnsured = true
  }

  /** Whoever comes while a change is made waits for the next one, and one of them makes it for all. */
  async function converge(ctx: Context, settings: Settings): Promise<void> {
    asked += 1
    const mine = asked
    while (last.covers < mine) {
      running ??= pass(ctx, settings).finally(() => {
        running = undefined
      })
      last = await running
    }
    if (last.error !== undefined) throw last.error
  }

  async function load(ctx: Context): Promise<void> {
    loading ??= wishes.load(ctx).then(
      () => {
        live = wishes.all()
      },
      (error) => {
        loading = undefined
        throw error
      },
    )
    await loading
  }

  return {
    async apply(ctx, settings, upstream) {
      await load(ctx)
      // Said before it waits for anything, and to the one whose app it is.
      render([upstream], settings)
      wishes.put(upstream)
      await converge(ctx, settings)
    },
    async remove(ctx, settings, app) {
      await load(ctx)
      if (wishes.remove(app)) await converge(ctx, settings)
    },
    async converge(ctx, settings) {
      await load(ctx)
      await converge(ctx, settings)
    },
    async status(ctx, settings, app) {
      await load(ctx)
      const upstream = live.get(app)
      if (upstream === undefined) return null
      const processes = (await siteOf(ctx, settings).processes()) ?? 0
      // One that is the master, and no more workers than there should be: no old one is left that could work on anything.
      const isDrained = processes > 0 && processes <= 1 + settings.workers
      return {
        app,
        generation: upstream.generation,
        endpoints: [
          ...upstream.endpoints.map(({ id }) => ({ id, state: 'serving' })),
          ...upstream.draining.map(({ id }) => ({
            id,
            state: 'draining',
            ...(isDrained ? { activeConnections: 0 } : {}),
          })),
        ],
        url:
          settings.url ??
          `http://${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${settings.port}`,
      }
    },
    apps: () => [...live.keys()],
    idOf(app, address) {
      const upstream = live.get(app)
      const all = [...(upstream?.endpoints ?? []), ...(upstream?.draining ?? [])]
      return all.find((endpoint) => endpointAddress(endpoint) === address)?.id
    },
  }
}
