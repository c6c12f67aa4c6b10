/** What was decided and why; the votes and what held them back on demand. */

import type { Decision, VoteRecord } from '../../scaling/decision.ts'
import type { Snapshot } from '../dashboard.ts'
import { Ago, Badge, Section } from './bits.tsx'
import { OnDemand } from './on-demand.tsx'

type Shown = Snapshot['decisions'][number]

/** The page of an app's decisions in which one that is shown is surely found: more than are shown of all apps. */
const searched = 100

export function Decisions({ decisions, nowMs }: { decisions: readonly Shown[]; nowMs: number }) {
  return (
    <Section title="Decisions">
      {decisions.length === 0 && <p class="faint">Nothing was decided yet.</p>}
      <ol class="list decisions">
        {decisions.map((decision) => (
          <li key={decision.id} data-decision={decision.id}>
            <One decision={decision} nowMs={nowMs} />
          </li>
        ))}
      </ol>
    </Section>
  )
}

function One({ decision, nowMs }: { decision: Shown; nowMs: number }) {
  const { id, app, atMs, action, from, to, reason, by } = decision
  const summary = (
    <span class="line">
      <Badge tone={action === 'hold' ? 'off' : action === 'out' ? 'busy' : 'good'}>
        {action === 'hold' ? `hold ${to}` : `${from} → ${to}`}
      </Badge>{' '}
      <b>{app}</b>{' '}
      <span class="faint">
        {by === 'operator' ? 'by hand · ' : by === 'bounds' ? 'into its bounds · ' : ''}
        <Ago atMs={atMs} nowMs={nowMs} />
      </span>
      <span class="reason">{reason}</span>
    </span>
  )
  return (
    <OnDemand<{ decisions: readonly Decision[]; latest?: Decision }>
      summary={summary}
      path={`/api/v1/apps/${encodeURIComponent(app)}/decisions?limit=${searched}`}
    >
      {(page) => {
        const found = [page.latest, ...page.decisions].find((each) => each?.id === id)
        return found ? <Why decision={found} /> : <p class="faint">This decision is no longer remembered.</p>
      }}
    </OnDemand>
  )
}

function Why({ decision: { votes, limits, winner } }: { decision: Decision }) {
  return (
    <>
      <h4>Votes</h4>
      {votes.length === 0 && <p class="faint">No scaler was asked.</p>}
      <ul class="rows">
        {votes.map((record) => (
          <li key={record.scaler}>
            <Badge tone={'error' in record ? 'bad' : record.scaler === winner ? 'good' : 'off'}>{wish(record)}</Badge>
            <b>{record.scaler}</b>
            <span class="reason">
              {'error' in record ? `${record.error.message} (${record.error.code})` : record.vote.reason}
            </span>
          </li>
        ))}
      </ul>
      <h4>Limits</h4>
      {limits.length === 0 && <p class="faint">Nothing held it back.</p>}
      <ol class="rows">
        {limits.map(({ kind, from, to, reason }) => (
          <li key={`${kind} ${from} ${to} ${reason}`}>
            <Badge tone="off">{from === to ? kind : `${kind} ${from} → ${to}`}</Badge>
            <span class="reason">{reason}</span>
          </li>
        ))}
      </ol>
    </>
  )
}

function wish(record: VoteRecord): string {
  if ('error' in record) return record.fallback === undefined ? 'error' : `error, counts as ${record.fallback}`
  const { vote } = record
  if ('replicas' in vote) return String(vote.replicas)
  if ('floor' in vote) return `at least ${vote.floor}`
  if ('ceiling' in vote) return `at most ${vote.ceiling}`
  return 'hold'
}
