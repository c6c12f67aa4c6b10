/** The lines of an app's replicas as they are written: of those that run, of those that come, of each until its end. */
import type { LogLine } from '../drivers/driver.ts'
import { messageOf } from '../errors.ts'
import type { ApiDeps, FollowInstance } from './deps.ts'
import { newLines } from './new-lines.ts'
import type { Sink } from './streams.ts'

const lookEveryMs = 500
/** Of a replica that was started meanwhile, and that are compared from one look to the next where a driver cannot follow. */
export const mostOlderLines = 2_000

export interface Followed {
  readonly app: string
  /** Only this one; absent = all of the app. */
  readonly instance?: string | undefined
  /** How many of the newest lines of each replica to begin with. */
  readonly older: number
}

export async function followLogs(deps: ApiDeps, followed: Followed, sink: Sink): Promise<void> {
  await sink.beat()
  const follow = deps.followerOf(followed.app)
  if (follow) await followEach(deps, follow, followed, sink)
  else await compare(deps, followed, sink)
}

const send = (sink: Sink, line: LogLine) => sink.send({ event: 'line', data: line })

/** Every replica is read at the pace at which the reader of the stream takes its lines; none waits in memory. */
async function followEach(deps: ApiDeps, follow: FollowInstance, followed: Followed, sink: Sink): Promise<void> {
  const { app, instance, older } = followed
  const leaving = new AbortController()
  const signal = AbortSignal.any([sink.signal, leaving.signal])
  const pumps = new Map<string, Promise<void>>()
  const over = new Set<string>()
  const begin = (id: string, lines: number) => {
    if (pumps.has(id) || over.has(id) || signal.aborted || (instance !== undefined && id !== instance)) return
    const pump = pumpLines(follow(id, { lines, signal }), { ...sink, signal })
      .catch((thrown: unknown) => {
        // One that is forgotten already has nothing more to say; the others go on.
        deps.log.warn({ app, instance: id, cause: messageOf(thrown) }, 'the output of a replica could not be followed')
      })
      .finally(() => {
        pumps.delete(id)
        over.add(id)
      })
    pumps.set(id, pump)
  }
  const beginAll = (lines: number) => {
    const ids = new Set(deps.reconciler.instances(app).map(({ id }) => id))
    for (const id of over) if (!ids.has(id)) over.delete(id)
    for (const id of ids) begin(id, lines)
  }
  const running = deps.reconciler.instances(app).map(({ id }) => id)
  const ended = await linesOfEnded(deps, followed, running)
  // Told of each change, so that also what is gone before the next look is followed.
  const unwatch = deps.reconciler.onInstancesChanged((name) => name === app && beginAll(mostOlderLines))
  try {
    for (const line of ended) await send(sink, line)
    for (const id of instance === undefined ? running : [instance]) begin(id, older)
    beginAll(older)
    while (!signal.aborted && deps.apps.get(app)) await deps.clock.sleep(lookEveryMs, signal)
  } finally {
    unwatch()
    leaving.abort()
    await Promise.all(pumps.values())
  }
}

async function pumpLines(source: AsyncIterable<readonly LogLine[]>, sink: Sink): Promise<void> {
  for await (const lines of source)
    for (const line of lines) {
      if (sink.signal.aborted) return
      await send(sink, line)
    }
}

/** What ended lately is shown once; of what runs the driver itself begins with the older lines. */
async function linesOfEnded(
  deps: ApiDeps,
  { app, instance, older }: Followed,
  running: readonly string[],
): Promise<LogLine[]> {
  if (older === 0 || instance !== undefined) return []
  const lines = await deps.logs(app, { lines: older })
  return lines.filter((line) => !running.includes(line.instance))
}

/** Looks again and again, and takes for new what was not there before. */
async function compare(deps: ApiDeps, { app, instance, older }: Followed, sink: Sink): Promise<void> {
  const read = async () => {
    const lines = await deps.logs(app, { lines: mostOlderLines, ...(instance !== undefined && { instance }) })
    const wanted = instance === undefined ? lines : lines.filter((line) => line.instance === instance)
    return Map.groupBy(wanted, (line: LogLine) => line.instance)
  }
  let seen = await read()
  for (const lines of seen.values()) for (const line of older > 0 ? lines.slice(-older) : []) await send(sink, line)
  while (!sink.signal.aborted) {
    await deps.clock.sleep(lookEveryMs, sink.signal)
    if (sink.signal.aborted || !deps.apps.get(app)) return
    const now = await read()
    for (const [id, lines] of now) for (const line of newLines(seen.get(id) ?? [], lines)) await send(sink, line)
    seen = now
  }
}
