/** Decisions in the store: numbered, all of a tick in one durable write, found by app without reading the others. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Store, Write } from '../store/store.ts'
import type { Decision, DecisionLog } from './decision.ts'

const idOf = (number: number): string => String(number).padStart(15, '0')

const listedByDefault = 100
const listedAtMost = 1_000
/** Decisions are large (every vote and metric), so that pages of them are small. */
const pageDecisions = 100
const trimSlack = 500

export interface StoredDecisionLog extends DecisionLog {
  /** Resolves when trimming has ended. Safe to call twice. */
  stop(): Promise<void>
}

export interface DecisionLogDeps {
  store: Pick<Store, 'get' | 'list' | 'write'>
  clock: Pick<Clock, 'sleep'>
  kept?: number
}

export function createDecisionLog({ store, clock, kept = limits.decisionsKept }: DecisionLogDeps): StoredDecisionLog {
  const stopping = new AbortController()
  let newest = 0
  let oldestKept = 1
  let trimming: Promise<void> | undefined
  const ready = store.list({ prefix: ['decision'], reverse: true, limit: 1 }).then(([last]) => {
    newest = Number(last?.key[1] ?? 0)
  })
  // Every append waits for it and hears of the failure; nobody may append.
  ready.catch(() => undefined)

  /** Removes what is too old, in pages with pauses. A failure is tried again after the next append. */
  async function trim(): Promise<void> {
    if (newest - oldestKept < kept + trimSlack) return
    while (!stopping.signal.aborted) {
      const old = await store.list<Decision>({ prefix: ['decision'], to: [newest - kept + 1], limit: pageDecisions })
      await store.write(old.flatMap(({ key, value }) => keysOf(Number(key[1]), value).map((one) => ({ delete: one }))))
      if (old.length < pageDecisions) {
        oldestKept = newest - kept + 1
        return
      }
      await clock.sleep(5, stopping.signal)
    }
  }

  return {
    async append(decisions) {
      await ready
      const stored = decisions.map((decision): Decision => {
        newest += 1
        return { ...decision, id: idOf(newest) }
      })
      await store.write(stored.flatMap(writesOf))
      trimming ??= trim()
        .catch(() => undefined)
        .finally(() => {
          trimming = undefined
        })
      return stored
    },
    list: (query) => listDecisions(store, query),
    async stop() {
      stopping.abort()
      await trimming
    },
  }
}

function keysOf(number: number, { app }: Pick<Decision, 'app'>): (string | number)[][] {
  return [
    ['decision', number],
    ['decisionByApp', app, number],
  ]
}

function writesOf(decision: Decision): Write[] {
  return keysOf(Number(decision.id), decision).map((put, index) => ({ put, value: index === 0 ? decision : 0 }))
}

type Query = Parameters<DecisionLog['list']>[0]

async function listDecisions(store: Pick<Store, 'get' | 'list'>, { app, limit, before }: Query): Promise<Decision[]> {
  const range = {
    limit: Math.min(Math.max(limit ?? listedByDefault, 0), listedAtMost),
    reverse: true,
    ...(before === undefined ? {} : { to: [numberOf(before)] }),
  }
  if (app === undefined)
    return (await store.list<Decision>({ prefix: ['decision'], ...range })).map(({ value }) => value)
  const index = await store.list({ prefix: ['decisionByApp', app], ...range })
  const entries = await Promise.all(index.map(({ key }) => store.get<Decision>(['decision', Number(key.at(-1))])))
  // One that was trimmed in between is gone.
  return entries.flatMap((entry) => entry?.value ?? [])
}

function numberOf(id: string): number {
  if (/^\d{1,15}$/.test(id)) return Number(id)
  throw new OrchestryError(
    'ORC_API_VALIDATION',
    `${JSON.stringify(id.slice(0, 60))} is not the id of a decision: ids are numbers, like ${idOf(1)}.`,
  )
}
