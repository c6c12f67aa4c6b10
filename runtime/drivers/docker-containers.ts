/** The containers that the Docker driver knows to run, and what becomes of those that end. */
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { ContainerSummary, DockerApi } from './docker-api.ts'
import { EngineRefusal } from './docker-connection.ts'
import type { ContainerEnd } from './docker-events.ts'
import { isOwnedBy, ownerFilter, readLabels } from './docker-labels.ts'
import { containerName } from './docker-names.ts'
import type { Output } from './docker-output.ts'
import type { Endings } from './docker-stop.ts'
import { type Container, containerOf, exitOf, exitOfState } from './docker-view.ts'
import type { Instance } from './driver.ts'

/** Ends that wait to be listed, should nobody list; and ids of what is gone, should the engine tell of it late. */
const mostRemembered = 1_000
const exitDetailsMs = 2_000
const looksAtOnce = 16
const removalAgainMs = 200
const removalAttempts = 25

interface Known {
  readonly container: Container
  readonly addedAt: number
  isStopping: boolean
}

interface Clearing {
  /** Of the replica. */
  readonly id: string
  /** Its last output is taken. Never rejects. */
  readonly kept: Promise<void>
  /** It is removed, too. */
  readonly done: Promise<void>
}

export interface Containers {
  get(id: string): Container | undefined
  all(): Container[]
  /** From now on until `started` or `notStarted` a container of this id is nobody's business but the starter's. */
  starting(id: string): boolean
  started(container: Container): void
  notStarted(id: string): void
  abandoned(id: string): void
  ended(end: ContainerEnd): Promise<void>
  /** Asks the engine for all of them: those that run, and once those that have ended. */
  list(): Promise<Instance[]>
  stop(id: string, graceMs: number): Promise<void>
  /** Resolves when the output of an ended one is kept. */
  cleared(id: string): Promise<void>
  /** Resolves when nothing is under way any more. */
  idle(): Promise<void>
}

export function createContainers(deps: {
  api: DockerApi
  output: Output
  endings: Endings
  ownerId: string
  network: string
  log: Pick<Log, 'warn'>
  onExit(instance: Instance): void
  onGone(containerId: string): void
  onRunning(container: Container): void
}): Containers {
  const { api, output, endings, ownerId, network, log } = deps
  const running = new Map<string, Known>()
  const startsUnderWay = new Set<string>()
  /** Of containers that nobody knew when they ended: one may be starting. */
  const deaths = new Map<string, ContainerEnd>()
  const abandoned = new Set<string>()
  const gone = new Set<string>()
  const dying = new Set<Promise<void>>()
  const clearing = new Map<string, Clearing>()
  let unreported: Instance[] = []
  let moment = 0

  function add(container: Container): void {
    moment += 1
    running.set(container.instance.id, { container, addedAt: moment, isStopping: false })
    deps.onRunning(container)
  }

  function leave({ containerId, instance }: Container): void {
    running.delete(instance.id)
    remember(gone, containerId)
    deps.onGone(containerId)
  }

  function report(container: Container, exit: NonNullable<Instance['exit']>): void {
    const instance = { ...container.instance, isRunning: false, exit }
    unreported = [...unreported, instance].slice(-mostRemembered)
    deps.onExit(instance)
    clearQuietly(container)
  }

  const knownBy = (containerId: string) =>
    [...running.values()].find(({ container }) => container.containerId === containerId)

  async function ended(end: ContainerEnd): Promise<void> {
    const known = knownBy(end.containerId)
    if (!known) {
      if (startsUnderWay.size > 0 && !gone.has(end.containerId)) deaths.set(end.containerId, end)
      return
    }
    if (known.isStopping) return
    leave(known.container)
    const telling = (async () => {
      // Only the engine's own account says whether it was for want of memory.
      const details = await api.container(end.containerId, exitDetailsMs).catch(() => undefined)
      const isOver = details && !details.State.Running
      report(known.container, isOver ? exitOfState(details.State) : exitOf(end.exitCode, false))
    })()
    dying.add(telling)
    await telling.finally(() => dying.delete(telling))
  }

  /** Keeps the last of its output, then removes it. */
  async function clear(containerId: string, of: { id: string; app: string }): Promise<void> {
    const earlier = clearing.get(containerId)
    if (earlier) return earlier.done
    const kept = output.keep(containerId, of).catch((error: unknown) => {
      log.warn({ instance: of.id, error: messageOf(error) }, 'the last output of a container could not be read')
    })
    const done = kept.then(() => remove(containerId)).finally(() => clearing.delete(containerId))
    clearing.set(containerId, { id: of.id, kept, done })
    return done
  }

  async function remove(containerId: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await api.remove(containerId)
        return
      } catch (error) {
        // Somebody else is at it: it is not gone until the engine no longer knows it.
        if (!(error instanceof EngineRefusal) || error.status !== 409 || attempt === removalAttempts) throw error
        await new Promise((resolve) => setTimeout(resolve, removalAgainMs))
      }
    }
  }

  function clearQuietly({ containerId, instance }: Container): void {
    clear(containerId, instance).catch((error: unknown) => {
      log.warn(
        { instance: instance.id, error: messageOf(error) },
        'an ended container could not be removed, trying again',
      )
    })
  }

  async function look(summary: ContainerSummary): Promise<void> {
    const { Id: containerId, State: state } = summary
    const mark = readLabels(summary.Labels)
    if (!mark || startsUnderWay.has(mark.id)) return
    const isOver = ['exited', 'dead', 'removing'].includes(state)
    const known = running.get(mark.id)
    if (known?.container.containerId === containerId) return isOver ? ended({ containerId }) : undefined
    // A start that was given up, or a controller that was killed in the middle of one.
    if (abandoned.delete(mark.id) || state === 'created' || (gone.has(containerId) && isOver)) {
      remember(gone, containerId)
      return clear(containerId, mark).catch(() => remember(abandoned, mark.id))
    }
    if (gone.has(containerId)) return
    await take(containerId)
  }

  async function take(containerId: string): Promise<void> {
    const details = await api.container(containerId)
    const container = details && containerOf(details, network)
    if (!container || knownBy(containerId) || gone.has(containerId)) return
    if (details.State.Running) return add(container)
    remember(gone, containerId)
    const exit = exitOfState(details.State)
    unreported = [...unreported, { ...container.instance, isRunning: false, exit }].slice(-mostRemembered)
    clearQuietly(container)
  }

  async function list(): Promise<Instance[]> {
    moment += 1
    const askedAt = moment
    const all = await api.containers(ownerFilter(ownerId))
    // Should an engine not filter as asked, nobody else's container is taken over or removed.
    const summaries = all.filter(({ Labels }) => isOwnedBy(Labels, ownerId))
    const seen = new Set(summaries.map(({ Id }) => Id))
    for (let at = 0; at < summaries.length; at += looksAtOnce) {
      await Promise.all(summaries.slice(at, at + looksAtOnce).map(look))
    }
    const missing = [...running.values()].filter(
      ({ container, addedAt, isStopping }) => !seen.has(container.containerId) && addedAt < askedAt && !isStopping,
    )
    await Promise.all(missing.map(({ container }) => ended({ containerId: container.containerId })))
    await Promise.all(dying)
    const reported = unreported
    unreported = []
    return [...[...running.values()].map(({ container }) => container.instance), ...reported]
  }

  async function stop(id: string, graceMs: number): Promise<void> {
    const known = running.get(id)
    if (known) {
      known.isStopping = true
      await endings.end(known.container, graceMs)
      if (running.get(id) === known) leave(known.container)
      return clear(known.container.containerId, known.container.instance)
    }
    const underWay = [...clearing.values()].find((one) => one.id === id)
    if (underWay) return underWay.done
    // Of one that was never listed, or whose end is just being looked at.
    const details = await api.container(containerName(ownerId, id))
    const container = details && containerOf(details, network)
    if (!container || !isOwnedBy(details.Config.Labels, ownerId)) return
    remember(gone, container.containerId)
    await endings.end(container, graceMs)
    await clear(container.containerId, container.instance)
  }

  return {
    get: (id) => running.get(id)?.container,
    all: () => [...running.values()].map(({ container }) => container),
    starting: (id) => {
      if (startsUnderWay.has(id) || running.has(id)) return false
      startsUnderWay.add(id)
      return true
    },
    started: (container) => {
      startsUnderWay.delete(container.instance.id)
      add(container)
      const death = deaths.get(container.containerId)
      if (startsUnderWay.size === 0) deaths.clear()
      if (death) void ended(death)
    },
    notStarted: (id) => {
      startsUnderWay.delete(id)
      if (startsUnderWay.size === 0) deaths.clear()
    },
    abandoned: (id) => remember(abandoned, id),
    ended,
    list,
    stop,
    cleared: async (id) => {
      await Promise.all(dying)
      // Not until it is removed: a busy engine takes its time for that, and somebody waits for the words.
      await [...clearing.values()].find((one) => one.id === id)?.kept
    },
    idle: async () => {
      await Promise.allSettled([...dying, ...[...clearing.values()].map(({ done }) => done)])
    },
  }
}

function remember(set: Set<string>, value: string): void {
  set.add(value)
  const [oldest] = set
  if (set.size > mostRemembered && oldest !== undefined) set.delete(oldest)
}
