/** What happened, newest first. */
import type { Snapshot } from '../dashboard.ts'
import { Ago, Section } from './bits.tsx'
import { oneLine } from './format.ts'

export function EventFeed({ events, nowMs }: Pick<Snapshot, 'events'> & { nowMs: number }) {
  return (
    <Section title="Events">
      {events.length === 0 && <p class="faint">Nothing happened yet.</p>}
      <ol class="list events">
        {events.map(({ id, type, app, atMs, data }) => (
          <li key={id}>
            <span class="event">{type}</span> {app !== undefined && <b>{app}</b>}{' '}
            <span class="faint">
              <Ago atMs={atMs} nowMs={nowMs} />
            </span>
            <span class="faint facts">{oneLine(data)}</span>
          </li>
        ))}
      </ol>
    </Section>
  )
}
