/** What happens to requests while something is done to the app that answers them: one row for each thing that was done. */
import Table from 'cli-table3'
import { type LoadFailure, type LoadOptions, type SteadyLoad, startLoad } from './steady-load.ts'
import { waitFor } from './wait-for.ts'

type Cleanup = { after(run: () => Promise<void>): void }

/** Clients of one app at the same time; together about `requestsPerSecond`. */
export interface Clients {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** What every good answer says, such as the name of the app. */
  readonly mustSay?: string
  readonly requestsPerSecond?: number
}

export interface LoadRow {
  readonly what: string
  readonly requests: number
  readonly failures: readonly LoadFailure[]
  readonly longestGapMs: number
  readonly slowestMs: number
  /** Requests that had no answer yet at the moments that the action named. */
  readonly atRisk: number
  readonly seconds: number
}

export interface UnderLoad {
  /** To be called at the moment before something unplanned is done: what is in flight then may fail. */
  risk(): void
}

/** GET on kept connections, GET on one connection each, and POST (which nothing between may send again), side by side. */
function startClients(test: Cleanup, { url, requestsPerSecond = 120, ...options }: Clients): SteadyLoad[] {
  const each = requestsPerSecond / 3
  const kinds: LoadOptions[] = [{}, { isKept: false }, { method: 'POST' }]
  return kinds.map((kind) => startLoad(test, url, each, { ...options, ...kind }))
}

/** Runs `action` under load, from a while before it until a while after it. */
export async function underLoad(
  test: Cleanup,
  what: string,
  clients: Clients,
  action: (load: UnderLoad) => Promise<unknown>,
): Promise<LoadRow> {
  const startedMs = performance.now()
  const loads = startClients(test, clients)
  const sent = () => loads.reduce((sum, load) => sum + load.sent(), 0)
  const more = (requests: number) => {
    const enough = sent() + requests
    return waitFor(() => sent() >= enough, { timeoutMs: 30_000, what: `${requests} more requests` })
  }
  let atRisk = 0
  await more(30)
  await action({ risk: () => (atRisk += loads.reduce((sum, load) => sum + load.inFlight(), 0)) })
  await more(60)
  const results = await Promise.all(loads.map((load) => load.stop()))
  return {
    what,
    requests: sent(),
    failures: results.flatMap(({ failures }) => failures),
    longestGapMs: Math.max(...results.map(({ longestGapMs }) => longestGapMs)),
    slowestMs: Math.max(...results.map(({ slowestMs }) => slowestMs)),
    atRisk,
    seconds: (performance.now() - startedMs) / 1000,
  }
}

export function renderLoadTable(rows: readonly LoadRow[]): string {
  const table = new Table({
    head: ['under load', 'requests', 'failed', 'in flight', 'longest gap', 'slowest', 'took'],
    style: { head: [], border: [], compact: true },
  })
  for (const { what, requests, failures, atRisk, longestGapMs, slowestMs, seconds } of rows) {
    const numbers = [requests, failures.length, atRisk === 0 ? '' : `≤ ${atRisk}`]
    table.push([
      what,
      ...numbers,
      `${Math.round(longestGapMs)} ms`,
      `${Math.round(slowestMs)} ms`,
      `${seconds.toFixed(1)} s`,
    ])
  }
  return table.toString()
}

/** One line for each kind of failure, with how many there were and when the first and last began. */
export function explainFailures({ failures }: Pick<LoadRow, 'failures'>): string[] {
  const firstMs = Math.min(...failures.map(({ startedMs }) => startedMs))
  const kinds = Map.groupBy(failures, ({ what }) => what)
  return [...kinds].map(([what, those]) => {
    const starts = those.map(({ startedMs }) => Math.round(startedMs - firstMs))
    const waits = those.map(({ startedMs, atMs }) => Math.round(atMs - startedMs))
    return `${those.length} × ${what} (began at +${starts.slice(0, 5).join(', ')} ms, ended after ${waits.slice(0, 5).join(', ')} ms)`
  })
}
