/** The one connection of the page: snapshots in, and whether they still come. */
import { signal } from '@preact/signals'
import type { Snapshot } from '../dashboard.ts'
import { createHistory } from './history.ts'

export type Connection = 'connecting' | 'live' | 'reconnecting'

export const snapshot = signal<Snapshot | undefined>(undefined)
export const connection = signal<Connection>('connecting')
/** By the clock of this browser; undefined until something was heard. */
export const lastHeardAtMs = signal<number | undefined>(undefined)
export const history = createHistory()

/** Five snapshots missed: a connection that died without a word (a laptop that slept) is given up. */
const silenceMs = 5_000
const shortestRetryMs = 500
const longestRetryMs = 5_000

/**
 * Our own retry instead of the browser's, which waits long and for ever gives up when a server answers with an error. A tab
 * nobody looks at lets go: browsers allow only six connections to one server, and a hidden page needs none.
 */
export function connect(): void {
  let source: EventSource | undefined
  let timer: number | undefined
  let retryMs = shortestRetryMs

  const close = () => {
    source?.close()
    source = undefined
    window.clearTimeout(timer)
  }
  const open = () => {
    close()
    const opened = new EventSource('/api/v1/stream')
    source = opened
    opened.addEventListener('snapshot', (event) => {
      take(event.data as string)
      retryMs = shortestRetryMs
      watch()
    })
    opened.addEventListener('error', retry)
    watch()
  }
  const watch = () => {
    window.clearTimeout(timer)
    timer = window.setTimeout(retry, silenceMs)
  }
  const retry = () => {
    close()
    connection.value = lastHeardAtMs.value === undefined ? 'connecting' : 'reconnecting'
    timer = window.setTimeout(open, retryMs)
    retryMs = Math.min(retryMs * 2, longestRetryMs)
  }
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) close()
    else if (!source) {
      retryMs = shortestRetryMs
      open()
    }
  })
  if (!document.hidden) open()
}

function take(text: string): void {
  const next = JSON.parse(text) as Snapshot
  history.record(next)
  lastHeardAtMs.value = Date.now()
  connection.value = 'live'
  snapshot.value = next
}
