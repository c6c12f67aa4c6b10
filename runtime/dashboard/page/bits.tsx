/** The smallest parts of the page. */
import type { ComponentChildren } from 'preact'
import { ago } from './format.ts'

export type Tone = 'good' | 'busy' | 'bad' | 'off'

export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>
}

export function Ago({ atMs, nowMs }: { atMs: number; nowMs: number }) {
  const at = new Date(atMs)
  return (
    <time dateTime={at.toISOString()} title={at.toLocaleString()}>
      {ago(atMs, nowMs)}
    </time>
  )
}

export function Section({ title, note, children }: { title: string; note?: string; children: ComponentChildren }) {
  return (
    <section aria-label={title}>
      <h2>
        {title} {note !== undefined && <span class="faint">{note}</span>}
      </h2>
      {children}
    </section>
  )
}
