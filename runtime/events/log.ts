/** What has happened, in the store: numbered, durable before it is heard, found by app or type without reading the rest. */
import type { OrchestryEvent } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Store, Write } from '../store/store.ts'
import type { EventQuery, Events, NewEvent } from './events.ts'

/** An id is its number with leading zeros: ids sort as texts in the order of appending. */
const idDigits = 15
const idOf = (number: number): string => String(number).padStart(idDigits, '0')

const listedByDefault = 100
const listedAtMost = 1_000
const pageEntries = 500
/** Trimming begins when this many are too many, so that it does not run after every event. */
const trimSlack = 500

export interface EventLog extends Events {
  /** Resolves when everything emitted is on disk and trimming has ended. */
  stop(): Promise<void>
}

export interface EventLogDeps {
  store: Pick<Store, 'list' | 'get' | 'write'>
  clock: Pick<Clock, 'now' | 'sleep'>
  log: Pick<Log, 'error'>
  kept?: number
  /** Hides what nobody is to read in the data of events. */
  redactData?: <T>(data: T) => T
}

export function createEvents({ store, clock, log, kept = limits.eventsKept, redactData }: EventLogDeps): EventLog {
  const listeners = new Set<(event: OrchestryEvent) => void>()
  const stopping = new AbortController()
  let newest = 0
  let trimming: Promise<void> | undefined
  let oldestKept = 1
  const ready = store.list<OrchestryEvent>({ prefix: ['event'], reverse: true, limit: 1 }).then(([last]) => {
    newest = Number(last?.key[1] ?? 0)
  })
  // Whoever waits for it hears of the failure; nobody may wait.
  ready.catch(() => undefined)
  /** Settles when all appended so far has settled; the store answers in the order in which it was asked. */
  let last: Promise<unknown> = ready

  function append(added: readonly NewEvent[]): Promise<OrchestryEvent[]> {
    const atMs = clock.now()
    let copies: NewEvent[]
    try {
      // What is heard is what will be read from the store, and nobody can change it in between.
      copies = JSON.parse(JSON.stringify(added)) as NewEvent[]
      if (redactData !== undefined) copies = copies.map((event) => ({ ...event, data: redactData(event.data) }))
    } catch (error) {
      return Promise.reject(new OrchestryError('ORC_STORE_FAILED', `An event is not JSON data: ${messageOf(error)}.`))
    }
    const appended = ready.then(async () => {
      const events = copies.map((event): OrchestryEvent => {
        newest += 1
        return { source: 'runtime', ...event, id: idOf(newest), atMs }
      })
      await store.write(events.flatMap(writesOf))
      for (const event of events) tell(event)
      trimming ??= trim().finally(() => {
        trimming = undefined
      })
      return events
    })
    last = appended.catch(() => undefined)
    return appended
  }

  function tell(event: OrchestryEvent): void {
    for (const listener of [...listeners]) {
      try {
        listener(event)
      } catch (error) {
        log.error(
          { event: event.id, error: messageOf(error) },
          'a listener of events threw; the event itself is stored',
        )
      }
    }
  }

  /** Removes what is too old, a page at a time and with pauses, because nobody waits for it. */
  async function trim(): Promise<void> {
    if (newest - oldestKept < kept + trimSlack) return
    while (!stopping.signal.aborted) {
      try {
        const old = await store.list<OrchestryEvent>({ prefix: ['event'], to: [newest - kept + 1], limit: pageEntries })
        await store.write(
          old.flatMap(({ key, value }) => keysOf(Number(key[1]), value).map((one) => ({ delete: one }))),
        )
        if (old.length < pageEntries) {
          oldestKept = newest - kept + 1
          return
        }
        await clock.sleep(5, stopping.signal)
      } catch (error) {
        return log.error(
          { error: messageOf(error) },
          'old events could not be removed; tried again with the next event',
        )
      }
    }
  }

  return {
    append,
    emit(event) {
      append([event]).catch((error) =>
        log.error({ type: event.type, error: messageOf(error) }, 'an event could not be stored'),
      )
    },
    list: (query) => listEvents(store, query),
    subscribe(listener) {
      const own = (event: OrchestryEvent) => listener(event)
      listeners.add(own)
      return () => listeners.delete(own)
    },
    flush: async () => void (await last),
    async stop() {
      await last
      stopping.abort()
      await trimming
    },
  }
}

function keysOf(number: number, event: Pick<OrchestryEvent, 'app' | 'type'>): (string | number)[][] {
  const keys = [
    ['event', number],
    ['eventByType', event.type, number],
  ]
  return event.app === undefined ? keys : [...keys, ['eventByApp', event.app, number]]
}

/** The index of an app holds the types, so that a query for both need not fetch what it leaves out. */
function writesOf(event: OrchestryEvent): Write[] {
  return keysOf(Number(event.id), event).map((put, index) => ({ put, value: [event, 0, event.type][index] }))
}

async function listEvents(store: Pick<Store, 'list' | 'get'>, query: EventQuery): Promise<OrchestryEvent[]> {
  const limit = Math.min(Math.max(query.limit ?? listedByDefault, 0), listedAtMost)
  const isForward = query.after !== undefined
  const found: OrchestryEvent[] = []
  let bound = query.after === undefined ? undefined : numberOf(query.after) + 1
  const isSifted = query.app !== undefined && query.type !== undefined
  while (found.length < limit) {
    const pageLimit = isSifted ? pageEntries : Math.min(pageEntries, limit - found.length)
    const range = bound === undefined ? {} : isForward ? { from: [bound] } : { to: [bound] }
    const page = await store.list({ prefix: indexOf(query), ...range, limit: pageLimit, reverse: !isForward })
    for (const { key, value } of page) {
      if (found.length === limit) break
      const event = await eventAt(store, query, Number(key.at(-1)), value)
      if (event !== undefined) found.push(event)
    }
    const lastKey = page.at(-1)?.key.at(-1)
    if (lastKey === undefined || page.length < pageLimit) break
    bound = isForward ? Number(lastKey) + 1 : Number(lastKey)
  }
  return isForward ? found : found.reverse()
}

function indexOf({ app, type }: EventQuery): string[] {
  if (app !== undefined) return ['eventByApp', app]
  return type === undefined ? ['event'] : ['eventByType', type]
}

/** Undefined for another type than asked for, and for what was trimmed in between. */
async function eventAt(store: Pick<Store, 'get'>, query: EventQuery, number: number, value: unknown) {
  if (query.app === undefined && query.type === undefined) return value as OrchestryEvent
  if (query.app !== undefined && query.type !== undefined && value !== query.type) return undefined
  return (await store.get<OrchestryEvent>(['event', number]))?.value
}

function numberOf(id: string): number {
  if (/^\d{1,15}$/.test(id)) return Number(id)
  throw new OrchestryError(
    'ORC_API_VALIDATION',
    `${JSON.stringify(id.slice(0, 60))} is not the id of an event: ids are numbers, like ${idOf(1)}.`,
  )
}
