/** One app: how it is, what it bears, and what was last decided about it. */
import type { Snapshot } from '../dashboard.ts'
import { Ago, Badge } from './bits.tsx'
import { appUrl } from './links.ts'
import { Load } from './load.tsx'
import { Replicas } from './replicas.tsx'

type App = Snapshot['apps'][number]

const tones: Readonly<Record<string, 'good' | 'busy' | 'bad' | 'off'>> = {
  running: 'good',
  progressing: 'busy',
  degraded: 'bad',
  stopping: 'busy',
  stopped: 'off',
}

export function AppCard({ app, proxy, nowMs }: { app: App; proxy: Snapshot['proxy']; nowMs: number }) {
  const { name, phase, mode, paused, problems, rollout, progress = [], decision } = app
  const url = appUrl(app.route, proxy, location.hostname)
  return (
    <article class="card app" data-app={name}>
      <header>
        <h3>{name}</h3>
        <Badge tone={tones[phase] ?? 'off'}>{phase}</Badge>
        {mode !== 'auto' && <Badge tone="off">{mode}</Badge>}
        {paused !== 'none' && <Badge tone="busy">scaling {paused === 'all' ? '' : `${paused} `}paused</Badge>}
        <span class="spring" />
        {url === undefined ? (
          <span class="faint">no address yet</span>
        ) : (
          <a href={url} target="_blank" rel="noreferrer" title="Through the proxy, in a new tab">
            {url.replace(/^http:\/\//, '')}
          </a>
        )}
      </header>
      <Replicas app={app} nowMs={nowMs} />
      {rollout !== undefined && <p class="rollout">{rollout}</p>}
      {progress.map((line) => (
        <p class="faint" key={line}>
          {line}
        </p>
      ))}
      {problems.map((problem) => (
        <p class="problem" key={problem}>
          {problem}
        </p>
      ))}
      <Load app={app} nowMs={nowMs} />
      <p class="latest">
        {decision ? (
          <>
            <Badge tone={decision.action === 'hold' ? 'off' : 'busy'}>
              {decision.action === 'hold' ? 'hold' : `${decision.from} → ${decision.to}`}
            </Badge>{' '}
            <span class="reason">{decision.reason}</span>{' '}
            <span class="faint">
              {decision.winner !== undefined && <>{decision.winner} · </>}
              <Ago atMs={decision.atMs} nowMs={nowMs} />
            </span>
          </>
        ) : (
          <span class="faint">Nothing was decided yet.</span>
        )}
      </p>
    </article>
  )
}
