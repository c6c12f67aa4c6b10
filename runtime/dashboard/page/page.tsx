/** The page, put together. */
import { useState } from 'preact/hooks'
import type { Snapshot } from '../dashboard.ts'
import { AppCard } from './app-card.tsx'
import { Decisions } from './decisions.tsx'
import { Empty } from './empty.tsx'
import { EventFeed } from './events.tsx'
import { figure, plural } from './format.ts'
import { Head } from './head.tsx'
import { connection, snapshot } from './live.ts'
import { Plugins } from './plugins.tsx'

/** So many cards at first: each draws five charts a second. */
const cardsAtFirst = 20
/** Fewer apps are found faster by eye. */
const appsWorthSearching = 8

export function Page() {
  const shown = snapshot.value
  const isStale = connection.value === 'reconnecting'
  return (
    <>
      <Head />
      {shown && (
        <main class={isStale ? 'stale' : ''}>
          {shown.problems.map((problem) => (
            <p class="banner" key={problem}>
              {problem}
            </p>
          ))}
          <div class="columns">
            <Apps shown={shown} />
            <div class="side">
              <Decisions decisions={shown.decisions} nowMs={shown.atMs} />
              <Plugins plugins={shown.plugins} nowMs={shown.atMs} />
              <EventFeed events={shown.events} nowMs={shown.atMs} />
            </div>
          </div>
        </main>
      )}
    </>
  )
}

function Apps({ shown: { apps, proxy, atMs } }: { shown: Snapshot }) {
  const [wanted, setWanted] = useState('')
  const [most, setMost] = useState(cardsAtFirst)
  if (apps.length === 0) return <Empty />
  const found = apps.filter(({ name }) => name.includes(wanted.trim().toLowerCase()))
  const sorted = found.toSorted((a, b) => rank(a.phase) - rank(b.phase) || (a.name < b.name ? -1 : 1))
  return (
    <section aria-label="Apps">
      <h2>
        Apps <span class="faint">{total(apps)}</span>
      </h2>
      {apps.length > appsWorthSearching && (
        <input
          type="search"
          placeholder="find an app by its name"
          aria-label="Find an app by its name"
          value={wanted}
          onInput={({ currentTarget }) => setWanted(currentTarget.value)}
        />
      )}
      {sorted.slice(0, most).map((app) => (
        <AppCard key={app.name} app={app} proxy={proxy} nowMs={atMs} />
      ))}
      {sorted.length === 0 && <p class="faint">No app has such a name.</p>}
      {sorted.length > most && (
        <button type="button" class="more" onClick={() => setMost(most + cardsAtFirst)}>
          show more ({sorted.length - most} apps are not shown)
        </button>
      )}
    </section>
  )
}

/** What needs a look stands first; all else keeps its place. */
const rank = (phase: string) => (phase === 'degraded' ? 0 : 1)

function total(apps: Snapshot['apps']): string {
  const serving = apps.reduce((sum, app) => sum + app.serving, 0)
  const rps = apps.reduce((sum, { load }) => sum + (load.rps ?? 0), 0)
  return `${plural(apps.length, 'app')} · ${plural(serving, 'replica')} serving · ${figure(rps)} requests/s`
}
