/**
 * A control group (version 2) for each sandbox process, where this process has been given a part of the tree to itself: what
 * is in a group cannot leave it, is bounded together, and is ended together.
 */
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../errors.ts'

export interface ControlGroup {
  /** With everything that it starts from now on. */
  add(pid: number): void
  /** Ends everything in it and removes it. */
  end(): Promise<void>
}

export interface ControlGroups {
  open(bounds: { memoryMb: number; processes: number }): ControlGroup | undefined
}

const wanted = ['memory', 'pids', 'cpu']
/** Everything else has 100: who is not a plugin goes first. */
const cpuWeight = 50
const hostGroup = 'orchestry-host'
const removeRounds = 50
const removeEveryMs = 20

/** The folder of the group that this process is in, from `/proc/self/mountinfo` and `/proc/self/cgroup`. */
export function ownGroup(mounts: string, groups: string): string | undefined {
  const path = /^0::(\/.*)$/m.exec(groups)?.[1]
  const [, root, mountPoint] = /^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2 /m.exec(mounts) ?? []
  if (path === undefined || root === undefined || mountPoint === undefined) return undefined
  const below = relative(root, path)
  return below.startsWith('..') ? undefined : join(mountPoint, below)
}

/**
 * Or why there are none, in words. Our own process moves into a group beside those that come: a group that is divided has no
 * processes of its own.
 */
export function prepareControlGroups(
  folder = ownGroup(read('/proc/self/mountinfo'), read('/proc/self/cgroup')),
  pid = process.pid,
  controllers: readonly string[] = wanted,
): ControlGroups | string {
  if (folder === undefined) return 'control groups of version 2 are not mounted'
  const offered = read(join(folder, 'cgroup.controllers')).split(/\s+/)
  const absent = controllers.filter((name) => !offered.includes(name))
  if (absent.length > 0) return `${absent.join(', ')} cannot be bounded in ours (${folder})`
  try {
    for (const name of ['cgroup.procs', 'cgroup.subtree_control']) accessSync(join(folder, name), constants.W_OK)
  } catch {
    return `ours (${folder}) was not handed over to us (systemd: Delegate=yes)`
  }
  const others = read(join(folder, 'cgroup.procs'))
    .split('\n')
    .filter((line) => line !== '' && Number(line) !== pid)
  if (others.length > 0)
    return `ours (${folder}) holds other processes too (systemd: a service of its own, Delegate=yes)`
  try {
    mkdirSync(join(folder, hostGroup), { recursive: true })
    writeFileSync(join(folder, hostGroup, 'cgroup.procs'), String(pid))
    writeFileSync(join(folder, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' '))
  } catch (thrown) {
    return `ours (${folder}) could not be divided: ${messageOf(thrown)}`
  }
  let opened = 0
  return {
    open({ memoryMb, processes }) {
      opened += 1
      const group = join(folder, `sandbox-${pid}-${opened}`)
      try {
        mkdirSync(group)
      } catch {
        return undefined
      }
      const set = (name: string, value: string | number) =>
        attempt(() => writeFileSync(join(group, name), String(value)))
      set('memory.max', memoryMb * 1024 * 1024)
      set('memory.swap.max', 0)
      set('memory.oom.group', 1)
      set('pids.max', processes)
      set('cpu.weight', cpuWeight)
      return {
        add: (member) => set('cgroup.procs', member),
        async end() {
          set('cgroup.kill', 1)
          for (let round = 0; round < removeRounds; round += 1) {
            // It can be removed when the last of its processes is gone.
            const isRemoved = await rmdir(group).then(
              () => true,
              (thrown: { code?: string }) => thrown.code === 'ENOENT',
            )
            if (isRemoved) return
            await sleep(removeEveryMs, undefined, { ref: false })
          }
        },
      }
    },
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

/** What this kernel does not know, or what has ended meanwhile, is no reason to go without the rest. */
function attempt(work: () => void): void {
  try {
    work()
  } catch {
    // Nothing else depends on it.
  }
}
