/** What the charts show: the newest minutes of every app's load, as far as this page has seen them or was told. */
import type { Snapshot } from '../dashboard.ts'

export const historyMs = 5 * 60_000
const shortestMs = 60_000
/** A pause longer than this is drawn as a gap, not as a line across it. */
const gapMs = 4_000

/** Seconds since the epoch, and values; null is a gap. Both of the same length. */
export interface Track {
  readonly seconds: readonly number[]
  readonly values: readonly (number | null)[]
}
interface OpenTrack {
  readonly seconds: number[]
  readonly values: (number | null)[]
}
export type Points = readonly { readonly atMs: number; readonly value: number }[]

const empty: Track = { seconds: [], values: [] }

export function createHistory() {
  const apps = new Map<string, Map<string, OpenTrack>>()

  const trackOf = (app: string, metric: string): OpenTrack => {
    const tracks = apps.get(app) ?? new Map<string, OpenTrack>()
    apps.set(app, tracks)
    const track = tracks.get(metric) ?? { seconds: [], values: [] }
    tracks.set(metric, track)
    return track
  }

  return {
    record({ atMs, apps: shown }: Pick<Snapshot, 'atMs' | 'apps'>): void {
      const names = new Set(shown.map(({ name }) => name))
      for (const name of apps.keys()) if (!names.has(name)) apps.delete(name)
      for (const { name, load, serving } of shown) {
        append(trackOf(name, 'serving'), atMs, serving)
        const metrics = new Set([...Object.keys(load), ...(apps.get(name)?.keys() ?? [])])
        metrics.delete('serving')
        for (const metric of metrics) append(trackOf(name, metric), atMs, load[metric] ?? null)
      }
    },
    /** Puts what the server remembers before what was seen here; where they overlap, what was seen stays. */
    seed(app: string, series: Readonly<Record<string, Points>>): void {
      for (const [metric, points] of Object.entries(series)) {
        const track = trackOf(app, metric)
        const from = track.seconds[0] ?? Number.POSITIVE_INFINITY
        const seeded: OpenTrack = { seconds: [], values: [] }
        for (const { atMs, value } of points) if (atMs / 1000 < from) append(seeded, atMs, value)
        track.seconds.unshift(...seeded.seconds)
        track.values.unshift(...seeded.values)
      }
    },
    /** Where charts of the app begin: with its first point, yet a minute ago at the latest and `historyMs` ago at the earliest. */
    beginMs(app: string, nowMs: number): number {
      const firstMs = Math.min(
        ...[...(apps.get(app)?.values() ?? [])].map(({ seconds }) => (seconds[0] ?? nowMs) * 1000),
      )
      return Math.max(nowMs - historyMs, Math.min(firstMs, nowMs - shortestMs))
    },
    track: (app: string, metric: string): Track => apps.get(app)?.get(metric) ?? empty,
  }
}

function append({ seconds, values }: OpenTrack, atMs: number, value: number | null): void {
  const now = atMs / 1000
  const last = seconds.at(-1)
  // The clock of the server went back: what came after that moment never was.
  if (last !== undefined && now <= last) {
    const keep = seconds.findIndex((second) => second >= now)
    seconds.splice(keep)
    values.splice(keep)
  } else if (last !== undefined && now - last > gapMs / 1000) {
    seconds.push(last + 0.001)
    values.push(null)
  }
  seconds.push(now)
  values.push(value)
  const old = seconds.findIndex((second) => second >= now - historyMs / 1000)
  if (old > 0) {
    seconds.splice(0, old)
    values.splice(0, old)
  }
}
