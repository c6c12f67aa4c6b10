/** One event handler's way through the log: its cursor, its retries, its dead letters. */
import type { OrchestryEvent } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { HookFailure, Hooks } from '../hooks/hooks.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Store, Write } from '../store/store.ts'
import type { Events, StoredEvent } from './events.ts'
import { backoffMs, countsAgainstEvent, longestRestMs, maxAttempts, wants } from './retry.ts'

/** An event set aside because its handler kept failing on it. */
export interface DeadLetter {
  readonly event: OrchestryEvent
  readonly attempts: number
  readonly failure: HookFailure
}

export interface Courier {
  /** There may be something new: an event, or a handler that serves again. */
  wake(): void
  /** Resolves when nothing is under way and the cursor is stored. */
  stop(): Promise<void>
}

export interface CourierDeps {
  instance: string
  /** The provider's `events` as it declares them now. */
  declared: () => unknown
  events: Pick<Events, 'list'>
  hooks: Pick<Hooks, 'broadcast'>
  store: Pick<Store, 'get' | 'list' | 'write'>
  clock: Pick<Clock, 'sleep'>
  log: Pick<Log, 'warn' | 'error'>
  random?: () => number
}

const pageEvents = 100
/** How long at most until a handler that was not serving is asked again. */
const longestWaitMs = 5_000
/** The cursor is stored at least this often, so that a crash repeats few deliveries; and always when there is nothing to do. */
const eventsPerCursorWrite = 20

/** Starts at once. A handler seen for the first time begins with what happens from now on. */
export function createCourier(deps: CourierDeps): Courier {
  const { instance, events, hooks, store, clock, log, random = Math.random } = deps
  const cursorKey = ['eventCursor', instance]
  const stopping = new AbortController()
  let hasNews = false
  let endIdling: (() => void) | undefined

  const idle = () =>
    new Promise<void>((resolve) => {
      if (stopping.signal.aborted || hasNews) return resolve()
      endIdling = resolve
    })
  /** News does not cut it short: a handler in trouble is not asked more often because more happens. */
  const rest = (failures: number, longestMs: number) =>
    clock.sleep(Math.min(longestMs, backoffMs(failures, random())), stopping.signal)

  async function run(): Promise<void> {
    let { cursor, stored } = await begin()
    let unstored = 0
    const save = async () => {
      if (cursor === stored) return
      await store.write([{ put: cursorKey, value: cursor }])
      stored = cursor
      unstored = 0
    }
    while (!stopping.signal.aborted) {
      hasNews = false
      const page = await events.list({ after: cursor, limit: pageEvents })
      for (const event of page) {
        if (stopping.signal.aborted) break
        const outcome = wants(deps.declared(), event.type) ? await deliver(event) : 'done'
        if (outcome === 'stopped') break
        if (outcome !== 'done') stored = await bury(event, outcome)
        cursor = event.id
        unstored += 1
        if (unstored >= eventsPerCursorWrite) await save()
      }
      if (page.length > 0) continue
      await save()
      await idle()
    }
    await save()
  }

  async function begin(): Promise<{ cursor: string; stored: string }> {
    const [present, [newest]] = await Promise.all([store.get<string>(cursorKey), events.list({ limit: 1 })])
    const now = newest?.id ?? '0'
    // A cursor beyond the log belongs to one that was replaced by an older copy: it would never be reached.
    if (present !== undefined && Number(present.value) <= Number(now))
      return { cursor: present.value, stored: present.value }
    await store.write([{ put: cursorKey, value: now }])
    return { cursor: now, stored: now }
  }

  /** Again and again until the handler took it, it failed too often, or the courier stops. */
  async function deliver(event: StoredEvent): Promise<'done' | 'stopped' | Omit<DeadLetter, 'event'>> {
    let attempts = 0
    let failures = 0
    while (!stopping.signal.aborted) {
      const { depth, ...told } = event
      const scope = depth === undefined ? {} : { eventDepth: depth }
      const answer = await hooks.broadcast('eventHandler', 'handle', instance, told, scope)
      if (answer.ok) return 'done'
      const { failure } = answer
      const hasTried = countsAgainstEvent(failure.code)
      failures += 1
      if (hasTried) attempts += 1
      if (attempts >= maxAttempts) return { attempts, failure }
      await rest(failures, hasTried ? longestRestMs : longestWaitMs)
    }
    return 'stopped'
  }

  /** Sets the event aside and moves the cursor in one write, so that it is never lost and never set aside twice. */
  async function bury(event: OrchestryEvent, { attempts, failure }: Omit<DeadLetter, 'event'>): Promise<string> {
    log.warn(
      { instance, event: event.id, type: event.type, attempts, error: failure.message },
      'an event handler kept failing; its event is set aside',
    )
    const prefix = ['deadLetter', instance]
    const present = await store.list({ prefix })
    const tooOld = present.slice(0, Math.max(0, present.length + 1 - limits.deadLettersKept))
    const letter: DeadLetter = { event, attempts, failure }
    const writes: Write[] = [
      { put: [...prefix, event.id], value: letter },
      { put: cursorKey, value: event.id },
      ...tooOld.map(({ key }) => ({ delete: key })),
    ]
    await store.write(writes)
    return event.id
  }

  /** Whatever the store refuses for a while is tried again: a handler is never given up silently. */
  async function keepRunning(): Promise<void> {
    for (let failures = 1; !stopping.signal.aborted; failures += 1) {
      try {
        await run()
      } catch (error) {
        log.error({ instance, error: messageOf(error) }, 'events cannot be delivered for now')
        await rest(failures, longestRestMs)
      }
    }
  }

  const running = keepRunning()
  return {
    wake() {
      hasNews = true
      endIdling?.()
    },
    stop() {
      stopping.abort()
      endIdling?.()
      return running
    },
  }
}

export async function deadLettersOf(store: Pick<Store, 'list'>, instance: string): Promise<DeadLetter[]> {
  const entries = await store.list<DeadLetter>({ prefix: ['deadLetter', instance] })
  return entries.map(({ value }) => value)
}
