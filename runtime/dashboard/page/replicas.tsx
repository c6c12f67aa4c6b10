/** The replicas of one app: how many of each sort at a glance, each of them on demand. */
import type { Snapshot } from '../dashboard.ts'
import { Ago, Badge, type Tone } from './bits.tsx'
import { OnDemand } from './on-demand.tsx'

type App = Snapshot['apps'][number]

interface Replica {
  readonly id: string
  readonly host: string
  readonly port: number
  readonly pid?: number
  readonly rotation: string
  readonly startedAtMs: number
  readonly isCurrentVersion: boolean
  readonly health?: {
    readonly status: string
    readonly problem?: string
    readonly last?: { readonly message?: string; readonly responseTimeMs?: number }
  }
}

/** How long what is shown of single replicas may be old while somebody looks at it. */
const refreshMs = 5_000
const tones: Readonly<Record<string, Tone>> = { serving: 'good', unhealthy: 'bad' }

export function Replicas({ app, nowMs }: { app: App; nowMs: number }) {
  const { name, serving, running, desired, minReplicas, maxReplicas, generation } = app
  const summary = (
    <span class="replicas">
      <Pips app={app} />
      <span>
        <b data-count="serving">{serving}</b> serving{' '}
        <span class={running === serving ? 'faint' : 'amiss'}>
          · <b data-count="running">{running}</b> running
        </span>{' '}
        <span class={desired === running ? 'faint' : 'amiss'}>
          · <b data-count="desired">{desired}</b> desired
        </span>{' '}
        <span class="faint">
          · min {minReplicas}, max {maxReplicas}
        </span>
      </span>
    </span>
  )
  return (
    <OnDemand<{ instances: readonly Replica[] }>
      class="plain"
      summary={summary}
      path={`/api/v1/apps/${encodeURIComponent(name)}/instances`}
      freshness={`${serving}/${running}/${generation}/${Math.floor(nowMs / refreshMs)}`}
    >
      {({ instances }) =>
        instances.length === 0 ? (
          <p class="faint">No replica is there.</p>
        ) : (
          <List instances={instances} nowMs={nowMs} />
        )
      }
    </OnDemand>
  )
}

/** More than these would be a wall; the numbers beside them say the rest. */
const mostPips = 40

function Pips({ app: { serving, running, desired, maxReplicas } }: { app: App }) {
  const sortOf = (index: number) => {
    if (index < serving) return 'serving'
    if (index < running) return 'running'
    return index < desired ? 'wanted' : 'spare'
  }
  const count = Math.min(Math.max(maxReplicas, running, desired), mostPips)
  return (
    <span class="pips" aria-hidden="true">
      {Array.from({ length: count }, (_, index) => (
        <i key={index} class={`pip ${sortOf(index)}`} />
      ))}
    </span>
  )
}

function List({ instances, nowMs }: { instances: readonly Replica[]; nowMs: number }) {
  return (
    <ul class="rows">
      {instances.map(({ id, host, port, pid, rotation, startedAtMs, isCurrentVersion, health }) => (
        <li key={id}>
          <Badge tone={tones[rotation] ?? 'busy'}>{rotation}</Badge>
          <code>{id}</code>
          <span class="faint">
            {host}:{port}
            {pid !== undefined && ` · pid ${pid}`} · started <Ago atMs={startedAtMs} nowMs={nowMs} />
            {!isCurrentVersion && ' · older version'}
          </span>
          {health && (
            <span class={health.status === 'healthy' ? 'faint' : 'problem'}>
              {health.status}
              {health.last?.message !== undefined && `: ${health.last.message}`}
              {health.problem !== undefined && ` (${health.problem})`}
            </span>
          )}
        </li>
      ))}
    </ul>
  )
}
