/** What the engine tells of this controller's containers, as it happens; tells also when some of it may have been missed. */
import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { DockerApi } from './docker-api.ts'
import { ownerFilter } from './docker-labels.ts'
import { readJsonLines } from './docker-lines.ts'

const firstPauseMs = 100
const longestPauseMs = 5_000
/** A connection over a network may be dead without anybody having said so. */
const lookEveryMs = 15_000
const lookMs = 5_000

/** Podman has its own words for them, and another one to ask with than it answers. */
const endings = ['die', 'died', 'destroy', 'remove']

export interface ContainerEnd {
  readonly containerId: string
  /** Absent where it is gone without a word about how it ended. */
  readonly exitCode?: number
}

export interface EventStream {
  /** Resolves when whatever ends from now on is told. Rejects when the engine cannot be had. */
  ensure(): Promise<void>
  close(): void
}

interface EngineEvent {
  readonly Action?: string
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> }
}

export function createEventStream(deps: {
  api: DockerApi
  ownerId: string
  clock: Clock
  log: Pick<Log, 'info' | 'warn'>
  onEnd(end: ContainerEnd): void
  /** Connected again after a time without. */
  onGap(): void
}): EventStream {
  const { api, ownerId, clock, log } = deps
  const closing = new AbortController()
  let connected: Promise<void> | undefined

  function hear({ Action, Actor }: EngineEvent): void {
    const containerId = Actor?.ID
    if (containerId === undefined) return
    const code = Number(Actor?.Attributes?.exitCode)
    if (Action === 'die') deps.onEnd({ containerId, ...(Number.isInteger(code) && { exitCode: code }) })
    if (Action === 'destroy' || Action === 'remove') deps.onEnd({ containerId })
  }

  async function connect(): Promise<void> {
    const filters = { type: ['container'], event: endings, label: [ownerFilter(ownerId)] }
    const stream = await api.events(filters, closing.signal)
    if (closing.signal.aborted) return void stream.destroy()
    const stopLooking = clock.every(lookEveryMs, () => {
      api.ping(lookMs).catch(() => stream.destroy())
    })
    void read(stream).finally(() => {
      stopLooking()
      stream.destroy()
      connected = undefined
      if (!closing.signal.aborted) void reconnect()
    })
  }

  async function read(stream: Readable): Promise<void> {
    try {
      for await (const event of readJsonLines<EngineEvent>(stream)) hear(event)
    } catch (error) {
      if (!closing.signal.aborted) log.warn({ error: messageOf(error) }, 'the events of the Docker engine broke off')
    }
  }

  async function reconnect(): Promise<void> {
    for (let pauseMs = firstPauseMs; !closing.signal.aborted; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      await clock.sleep(pauseMs, closing.signal)
      // Somebody who lists may have been quicker.
      const isBack = await ensure().then(
        () => true,
        () => false,
      )
      if (!isBack || closing.signal.aborted) continue
      log.info({}, 'the Docker engine can be heard again')
      return deps.onGap()
    }
  }

  function ensure(): Promise<void> {
    connected ??= connect().catch((error: unknown) => {
      connected = undefined
      throw error
    })
    return connected
  }

  return { ensure, close: () => closing.abort() }
}
