/** The embedded store: one LMDB environment. What is acknowledged is on disk. */
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { admit, seal } from './admission.ts'
import { openEnvironment } from './environment.ts'
import { checkKey, checkParts } from './key.ts'
import { createLeases } from './lease.ts'
import { type PreparedWrite, prepare, type Step, stepsOf } from './prepared.ts'
import type { Range, Store } from './store.ts'
import { createWatchers } from './watchers.ts'

/** Calls of `write` that wait for the next transaction; each is all or nothing for itself. */
interface Request {
  readonly writes: readonly PreparedWrite[]
  resolve(revisions: number[]): void
  reject(error: unknown): void
}
type Planned = { readonly request: Request; readonly steps: readonly Step[] }

const writesPerTransaction = 5_000
/** The reason of a failure follows it at once; should it not, nobody waits for it. */
const reasonWaitMs = 100

export interface DiskStore extends Store {
  /** Why the newest write was not taken; absent as soon as one is. */
  problem(): string | undefined
}

/**
 * Opens, or creates, the store in the folder `path`. Only one process at a time may do so: whoever calls owns the folder.
 *
 * @throws ORC_STORE_CORRUPT, with what to do, when the file is damaged; it is left as it is.
 */
export async function createLmdbStore(deps: {
  path: string
  clock: Pick<Clock, 'now'>
  log?: Pick<Log, 'error'>
}): Promise<DiskStore> {
  await admit(deps.path)
  const environment = openOwned(deps.path)
  await seal(deps.path)
  const watchers = createWatchers(deps.log)
  const commits = createGroupCommit(environment, watchers.notify)
  let closing: Promise<void> | undefined

  const requireOpen = () => {
    if (closing !== undefined) throw new OrchestryError('ORC_STORE_FAILED', 'The store is closed. Nothing was written.')
  }
  const state: Pick<Store, 'get' | 'write'> = {
    async get(key) {
      requireOpen()
      checkKey(key)
      return environment.get(key)
    },
    async write(writes) {
      requireOpen()
      return commits.write(prepare(writes))
    },
  }
  return {
    ...state,
    async list<V>(range: Range) {
      requireOpen()
      for (const key of [range.prefix, range.from ?? [], range.to ?? []]) checkParts(key)
      return environment.list<V>(range)
    },
    problem: commits.problem,
    watch: watchers.watch,
    acquireLease: createLeases(state, deps.clock),
    close() {
      closing ??= commits.idle().then(() => {
        watchers.clear()
        return environment.close()
      })
      return closing
    },
  }
}

function openOwned(path: string): ReturnType<typeof openEnvironment> {
  try {
    return openEnvironment(path, { readOnly: false })
  } catch (error) {
    throw new OrchestryError('ORC_STORE_FAILED', `The store in ${path} cannot be opened: ${messageOf(error)}.`, {
      cause: error,
    })
  }
}

/** Puts all that waits into one transaction, one transaction at a time: the disk is flushed once for many writes. */
function createGroupCommit(
  environment: Pick<ReturnType<typeof openEnvironment>, 'revisionOf' | 'commit'>,
  onCommitted: (steps: readonly Step[]) => void,
) {
  const waiting: Request[] = []
  let waitingWrites = 0
  let running: Promise<void> | undefined
  let problem: string | undefined

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const planned = plan(take())
      if (planned.length === 0) continue
      try {
        await environment.commit(planned.flatMap(({ steps }) => steps))
      } catch (error) {
        const failure = writeFailed(await reasonOf(error))
        problem = failure.message
        for (const { request } of planned) request.reject(failure)
        continue
      }
      problem = undefined
      for (const { request, steps } of planned) {
        onCommitted(steps)
        request.resolve(steps.map(({ revision }) => revision))
      }
    }
    running = undefined
  }

  function take(): Request[] {
    let count = 0
    let writes = 0
    for (const request of waiting) {
      if (count > 0 && writes + request.writes.length > writesPerTransaction) break
      count += 1
      writes += request.writes.length
    }
    waitingWrites -= writes
    return waiting.splice(0, count)
  }

  /** What is committed is known here, because nothing else is under way; what came before in the same group is laid over it. */
  function plan(requests: readonly Request[]): Planned[] {
    const earlier = new Map<string, number>()
    const planned: Planned[] = []
    for (const request of requests) {
      try {
        const plan = stepsOf(request.writes, ({ name, key }) => earlier.get(name) ?? environment.revisionOf(key))
        for (const [name, revision] of plan.revisions) earlier.set(name, revision)
        planned.push({ request, steps: plan.steps })
      } catch (error) {
        request.reject(error)
      }
    }
    return planned
  }

  return {
    write(writes: readonly PreparedWrite[]): Promise<number[]> {
      if (writes.length === 0) return Promise.resolve([])
      if (waitingWrites + writes.length > limits.storeWaitingWrites) {
        return Promise.reject(writeFailed(`${waitingWrites} writes wait already; the disk does not keep up`))
      }
      return new Promise((resolve, reject) => {
        waiting.push({ writes, resolve, reject })
        waitingWrites += writes.length
        running ??= Promise.resolve().then(run)
      })
    },
    idle: async (): Promise<void> => running,
    problem: () => problem,
  }
}

/** What the system said of a failed transaction; lmdb keeps it in a promise beside the error. */
async function reasonOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && 'commitError' in error)) return error
  const told = Promise.resolve(error.commitError).then(
    () => error,
    (reason: unknown) => reason,
  )
  return Promise.race([told, new Promise((resolve) => setTimeout(resolve, reasonWaitMs, error))])
}

function writeFailed(cause: unknown): OrchestryError {
  return new OrchestryError(
    'ORC_STORE_FAILED',
    `The write did not reach the disk: ${messageOf(cause)}. Nothing of it was stored.`,
    {
      cause,
    },
  )
}
