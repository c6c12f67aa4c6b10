/** What an app bears now, and the minutes before it. */
import { useEffect, useState } from 'preact/hooks'
import type { Snapshot } from '../dashboard.ts'
import { ask } from './ask.ts'
import { Chart } from './chart.tsx'
import { figure } from './format.ts'
import { historyMs, type Points } from './history.ts'
import { history } from './live.ts'

type App = Snapshot['apps'][number]

const tiles = [
  { metric: 'rps', name: 'requests', unit: '/s' },
  { metric: 'latencyP95Ms', name: 'p95', unit: 'ms' },
  { metric: 'cpuPercent', name: 'cpu', unit: '%' },
  { metric: 'errorPercent', name: 'errors', unit: '%' },
  { metric: 'serving', name: 'serving', unit: '' },
] as const

export function Load({ app, nowMs }: { app: App; nowMs: number }) {
  useEffect(() => {
    // Only what came before this page; without it the charts begin now.
    const path = `/api/v1/apps/${encodeURIComponent(app.name)}/metrics?seriesSeconds=${historyMs / 1000}`
    ask<{ series?: Record<string, Points> }>(path).then(
      ({ series = {} }) => history.seed(app.name, { ...series, serving: series.healthyReplicas ?? [] }),
      () => {},
    )
  }, [app.name])
  return (
    <div class="load">
      {tiles.map((tile) => (
        <Tile key={tile.metric} {...tile} app={app.name} nowMs={nowMs} />
      ))}
    </div>
  )
}

interface TileProps {
  readonly app: string
  readonly metric: string
  readonly name: string
  readonly unit: string
  readonly nowMs: number
}

function Tile({ app, metric, name, unit, nowMs }: TileProps) {
  const [point, setPoint] = useState<number | undefined>()
  const track = history.track(app, metric)
  const pointed = point === undefined ? undefined : track.seconds[point]
  const value = pointed === undefined ? track.values.at(-1) : track.values[point ?? 0]
  const top = track.values.reduce<number>((most, each) => Math.max(most, each ?? 0), 0)
  const when = pointed === undefined ? undefined : new Date(pointed * 1000).toLocaleTimeString()
  return (
    <div class={`tile ${metric}`}>
      <div class="tile-words">
        <span class="faint">{name}</span>
        <span class="faint small">{when ?? (top > 0 ? `max ${figure(top)}` : '')}</span>
      </div>
      <div class="figure" data-metric={metric}>
        {figure(value)}
        {value !== undefined && value !== null && <span class="unit">{unit}</span>}
      </div>
      <Chart
        track={track}
        fromMs={history.beginMs(app, nowMs)}
        toMs={nowMs}
        label={`${name} of ${app} over the last minutes, at most ${figure(top)} ${unit}`}
        isStepped={metric === 'serving'}
        onPoint={setPoint}
      />
    </div>
  )
}
