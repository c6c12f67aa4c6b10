/** The line on top: what this is, and whether what is shown is still true. */
import { useEffect, useState } from 'preact/hooks'
import { ago } from './format.ts'
import { connection, lastHeardAtMs } from './live.ts'

const words = { connecting: 'connecting', live: 'live', reconnecting: 'reconnecting' } as const

export function Head() {
  return (
    <header class="head">
      <h1>
        <img src="/icon.svg" alt="" width="22" height="22" /> Orchestry
      </h1>
      <State />
      <span class="spring" />
      <nav>
        <a href="/openapi.json">API</a>
        <a href="/metrics">metrics</a>
      </nav>
    </header>
  )
}

function State() {
  const state = connection.value
  const heardAtMs = lastHeardAtMs.value
  const nowMs = useSeconds(state === 'reconnecting')
  return (
    <span class={`state ${state}`} role="status">
      <i class="dot" aria-hidden="true" />
      <span>{words[state]}</span>
      {state === 'reconnecting' && heardAtMs !== undefined && (
        <span class="faint"> last heard {ago(heardAtMs, nowMs)}</span>
      )}
    </span>
  )
}

/** The time of this browser, a second at a time, while somebody wants it. */
function useSeconds(isWanted: boolean): number {
  const [nowMs, setNow] = useState(Date.now)
  useEffect(() => {
    if (!isWanted) return
    setNow(Date.now())
    const timer = window.setInterval(() => setNow(Date.now()), 1000)
    return () => window.clearInterval(timer)
  }, [isWanted])
  return nowMs
}
