/** The plugins: whether they serve, what their breakers say, and what went wrong on demand. */
import type { Snapshot } from '../dashboard.ts'
import { Ago, Badge, Section, type Tone } from './bits.tsx'
import { figure, plural } from './format.ts'
import { OnDemand } from './on-demand.tsx'

type Plugin = Snapshot['plugins'][number]

interface Shown {
  readonly incidents: readonly Incident[]
  readonly pending?: { readonly version: string; readonly differences: readonly string[] }
}

/** What was done about an incident. */
const actions = {
  refused: 'refused',
  isolateReplaced: 'its isolate was replaced',
  processKilled: 'its process was killed',
  processReplaced: 'its process was replaced',
  quarantined: 'quarantined',
} as const

interface Incident {
  readonly code: string
  readonly message: string
  readonly hook?: string
  readonly instance?: string
  readonly app?: string
  readonly line?: string
  readonly action?: keyof typeof actions
  readonly atMs: number
}

const tones: Readonly<Record<string, Tone>> = {
  serving: 'good',
  activating: 'busy',
  restarting: 'busy',
  failed: 'bad',
  quarantined: 'bad',
}

export function Plugins({ plugins, nowMs }: { plugins: readonly Plugin[]; nowMs: number }) {
  return (
    <Section title="Plugins" note="what decides">
      {plugins.length === 0 && <p class="faint">No plugin is installed.</p>}
      <ul class="list plugins">
        {plugins.map((plugin) => (
          <li key={plugin.id} data-plugin={plugin.id}>
            <One plugin={plugin} nowMs={nowMs} />
          </li>
        ))}
      </ul>
    </Section>
  )
}

function One({ plugin, nowMs }: { plugin: Plugin; nowMs: number }) {
  const { id, version, state, problem, hooks, restarts, memoryMb, instances, incidents } = plugin
  const tripped = instances.filter(({ breaker }) => breaker !== 'closed')
  const summary = (
    <span class="line">
      <Badge tone={tones[state] ?? 'off'}>{state}</Badge> <b>{id}</b> <span class="faint">{version}</span>
      <span class="faint facts">
        {[
          hooks.join(', '),
          `${figure(memoryMb)} MB`,
          restarts > 0 && plural(restarts, 'restart'),
          incidents > 0 && plural(incidents, 'incident'),
        ]
          .filter(Boolean)
          .join(' · ')}
      </span>
      {tripped.map(({ name, breaker }) => (
        <span class="problem" key={name}>
          breaker of {name} is {breaker === 'halfOpen' ? 'half open' : breaker}
        </span>
      ))}
      {problem !== undefined && <span class="problem">{problem}</span>}
    </span>
  )
  return (
    <OnDemand<Shown>
      summary={summary}
      path={`/api/v1/plugins/${encodeURIComponent(id)}`}
      freshness={`${state}/${incidents}/${restarts}`}
    >
      {(shown) => (
        <>
          {shown.pending !== undefined && (
            <p class="problem">
              {shown.pending.version} waits for approval, because it asks for more than was granted:{' '}
              {shown.pending.differences.join('; ')}. To agree: orchestry plugin approve {id}
            </p>
          )}
          <h4>Instances</h4>
          <ul class="rows">
            {instances.map(({ name, breaker }) => (
              <li key={name}>
                <b>{name}</b> <span class="faint">breaker {breaker === 'halfOpen' ? 'half open' : breaker}</span>
              </li>
            ))}
          </ul>
          <h4>Incidents</h4>
          {shown.incidents.length === 0 ? (
            <p class="faint">None.</p>
          ) : (
            <Incidents incidents={shown.incidents} nowMs={nowMs} />
          )}
        </>
      )}
    </OnDemand>
  )
}

function Incidents({ incidents, nowMs }: { incidents: readonly Incident[]; nowMs: number }) {
  const newestFirst = incidents.toSorted((a, b) => b.atMs - a.atMs)
  return (
    <ol class="rows">
      {newestFirst.map(({ code, message, hook, instance, app, line, action, atMs }, index) => (
        <li key={`${atMs} ${code} ${newestFirst.length - index}`}>
          <code>{code}</code>
          <span class="faint">
            {hook !== undefined && `in ${hook} `}
            {instance !== undefined && `of ${instance} `}
            {app !== undefined && `for ${app} `}
            {line !== undefined && `at ${line} `}· <Ago atMs={atMs} nowMs={nowMs} />
          </span>
          <span class="reason">
            {message}
            {action !== undefined && ` → ${actions[action]}`}
          </span>
        </li>
      ))}
    </ol>
  )
}
