/** Replicas that exist only in memory and do what a test tells them: start slowly, fail, crash, survive the controller. */
import type { Clock } from '../../runtime/clock.ts'
import type { Driver, DriverEvent, Instance, StartRequest } from '../../runtime/drivers/driver.ts'
import { OrchestryError } from '../../runtime/errors.ts'

export interface FakeDriver extends Driver {
  readonly instances: ReadonlyMap<string, Instance>
  readonly requests: readonly StartRequest[]
  /** A listing shows what was there when it was asked for. */
  listMs: number
  startMs: number
  stopMs: number
  /** A text for the driver's error, when a start is to fail. */
  refuse: (request: StartRequest) => string | undefined
  isListable: boolean
  /** False as with an engine that is down: whatever is asked of it is refused, and what runs goes on. */
  isReachable: boolean
  /** True as with an engine that hangs: what is asked of it is never answered. */
  isHanging: boolean
  /** What a start has to wait for: how long, with a line for each second. Undefined: nothing, and no such method. */
  fetch: { ms: number; refuse?: (request: StartRequest) => string | undefined } | undefined
  readonly fetches: readonly StartRequest[]
  /** The replica ends by itself, as by kill -9 unless an exit is given. */
  crash(id: string, exit?: Instance['exit']): void
  /** As `crash`, but nobody is told. */
  vanish(id: string): void
  onRequest: ((request: StartRequest) => void) | undefined
  onStart: ((instance: Instance) => void) | undefined
  onStop: ((id: string) => void) | undefined
  resync(): void
}

export function createFakeDriver(clock: Clock, name = 'fake'): FakeDriver {
  const instances = new Map<string, Instance>()
  const listeners = new Set<(event: DriverEvent) => void>()
  const requests: StartRequest[] = []
  /** Ends that were told of and are listed once more. */
  const unreported: Instance[] = []
  let port = 10_000
  const tell = (event: DriverEvent) => {
    for (const listener of listeners) listener(event)
  }
  const fetches: StartRequest[] = []
  const beReached = async () => {
    if (driver.isHanging) await new Promise<never>(() => {})
    if (!driver.isReachable) throw new OrchestryError('ORC_DRIVER_UNAVAILABLE', 'the engine is down.')
  }
  const driver: FakeDriver = {
    name,
    fetches,
    isReachable: true,
    isHanging: false,
    fetch: undefined,
    async prepare(request, { onProgress, signal }) {
      await beReached()
      const { fetch } = driver
      if (!fetch) return
      fetches.push(request)
      for (let ms = 0; ms < fetch.ms && !signal.aborted; ms += 1000) {
        onProgress(`pulling ${request.app}, ${ms} of ${fetch.ms} MB`)
        await clock.sleep(Math.min(1000, fetch.ms - ms), signal)
      }
      const refusal = fetch.refuse?.(request)
      if (refusal !== undefined) throw new OrchestryError('ORC_DRIVER_START_FAILED', refusal)
    },
    instances,
    requests,
    listMs: 5,
    startMs: 20,
    stopMs: 50,
    isListable: true,
    refuse: () => undefined,
    onRequest: undefined,
    onStart: undefined,
    onStop: undefined,
    async list() {
      await beReached()
      if (!driver.isListable) throw new OrchestryError('ORC_DRIVER_UNAVAILABLE', 'the daemon does not answer.')
      const running = [...instances.values()].filter((one) => one.isRunning)
      const picture = [...running, ...unreported.splice(0)]
      await clock.sleep(driver.listMs)
      return picture
    },
    async start(request) {
      requests.push(request)
      driver.onRequest?.(request)
      await beReached()
      await clock.sleep(driver.startMs)
      const refusal = driver.refuse(request)
      if (refusal !== undefined) throw new OrchestryError('ORC_DRIVER_START_FAILED', refusal)
      port += 1
      const { id, app, version } = request
      const instance = { id, app, version, host: '127.0.0.1', port, startedAtMs: clock.now(), isRunning: true }
      instances.set(id, instance)
      driver.onStart?.(instance)
      return instance
    },
    async stop(id) {
      await beReached()
      driver.onStop?.(id)
      if (!instances.has(id)) return
      await clock.sleep(driver.stopMs)
      instances.delete(id)
    },
    usage: async () => new Map(),
    logs: async (id) => [{ instance: id, stream: 'stderr', line: `last words of ${id}` }],
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {},
    crash(id, exit = { code: null, signal: 'SIGKILL' }) {
      const instance = instances.get(id)
      if (!instance) return
      const dead: Instance = { ...instance, isRunning: false, exit }
      instances.set(id, dead)
      unreported.push(dead)
      tell({ type: 'exited', instance: dead })
    },
    vanish: (id) => void instances.delete(id),
    resync: () => tell({ type: 'resync' }),
  }
  return driver
}
