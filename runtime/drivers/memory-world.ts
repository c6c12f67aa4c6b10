/** The machine that memory drivers run replicas on: what is there, and what a test lets go wrong. Survives its drivers. */
import type { Instance, LogLine, Usage } from './driver.ts'

type Exit = NonNullable<Instance['exit']>

export interface MemoryWorld {
  /** Every replica that is there, by id; an ended one stays until a driver has reported it. */
  readonly instances: Map<string, Instance>
  /** Also of ended replicas; the newest. */
  readonly logs: Map<string, LogLine[]>
  /** How many lines each replica has written. */
  readonly written: Map<string, number>
  /** Told when one was written, or the replica has ended, with its id. */
  readonly readers: Set<(id: string) => void>
  readonly usages: Map<string, Usage>
  /** Ids of replicas that ignore being asked to end, so that `stop` takes the whole grace time. */
  readonly hanging: Set<string>
  /** Told of every end by itself. */
  readonly watchers: Set<(instance: Instance) => void>
  /** How long every start takes from now on. */
  startDelayMs: number
  /** The next start fails with this text; several calls fail several starts. */
  failNextStart(why: string): void
  /** Why the start that is being made now shall fail. */
  takeFailure(): string | undefined
  /** The replica ends by itself. */
  exit(id: string, exit?: Exit): void
  print(id: string, stream: LogLine['stream'], line: string): void
  nextPort(): number
}

const keptLines = 1_000
const firstPort = 20_000

export function createMemoryWorld(): MemoryWorld {
  const failures: string[] = []
  let ports = firstPort
  const world: MemoryWorld = {
    instances: new Map(),
    logs: new Map(),
    written: new Map(),
    readers: new Set(),
    usages: new Map(),
    hanging: new Set(),
    watchers: new Set(),
    startDelayMs: 0,
    failNextStart: (why) => {
      failures.push(why)
    },
    takeFailure: () => failures.shift(),
    exit: (id, exit = { code: 1, signal: null }) => {
      const instance = world.instances.get(id)
      if (!instance?.isRunning) return
      const ended = { ...instance, isRunning: false, exit }
      world.instances.set(id, ended)
      for (const watcher of [...world.watchers]) watcher(ended)
    },
    print: (id, stream, line) => {
      const lines = [...(world.logs.get(id) ?? []), { instance: id, stream, line }]
      world.logs.set(id, lines.slice(-keptLines))
      world.written.set(id, (world.written.get(id) ?? 0) + 1)
      for (const reader of [...world.readers]) reader(id)
    },
    nextPort: () => {
      ports += 1
      return ports
    },
  }
  return world
}
