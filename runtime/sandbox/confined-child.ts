/**
 * Starts what a confinement says, knows which process of it is Node, and ends all of it. The process that was started can be
 * the first of three: the one outside, the first one inside a process namespace, and Node.
 */
import { execFile, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import type { Duplex, Readable } from 'node:stream'
import { descriptors, type Launch } from './confinement.ts'
import { childrenOf, endUser, startTimeOf } from './process-table.ts'

export interface ConfinedChild {
  /** Of Node itself once it is found, until then of what was started; 0 when nothing could be started. */
  readonly pid: number
  readonly channel: Duplex
  readonly output: Readable
  readonly errors: Readable
  /** Resolves when `pid` is that of Node. To be asked for when Node has said something. */
  locate(): Promise<void>
  /** Ends everything that belongs to it; what is not gone then is hunted after the exit. */
  kill(): void
  /** Once, with words for how it ended. */
  onExit(listener: (how: string) => void): void
  /** Resolves after the exit, when nothing that belonged to it is left. */
  readonly gone: Promise<void>
}

const huntEveryMs = 20
const huntRounds = 100

export function spawnConfined(launch: Launch): ConfinedChild {
  const { seccomp } = launch
  const child = spawn(launch.file, launch.args, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...(seccomp === undefined ? [] : (['pipe', 'pipe'] as const))],
    env: { TZ: 'UTC', LANG: 'C' },
    cwd: '/',
    // Its own group and session: one signal ends whatever it might have become.
    detached: true,
  })
  const outer = child.pid ?? 0
  const group = outer === 0 ? undefined : launch.openGroup?.()
  group?.add(outer)
  let pid = outer
  let first: { pid: number; startTime: string } | undefined
  let isExited = false
  let onExit: (how: string) => void = () => {}
  const gone = Promise.withResolvers<void>()
  const told = seccomp === undefined ? undefined : firstInside(child.stdio.at(descriptors.info) as Readable)
  if (seccomp !== undefined) {
    const gate = child.stdio.at(descriptors.seccomp) as Duplex
    gate.on('error', () => {})
    gate.end(seccomp)
  }
  void told?.then(async (found) => {
    const startTime = found === undefined ? undefined : startTimeOf(found)
    if (found === undefined || startTime === undefined) return
    first = { pid: found, startTime }
    // It may have been started before the one outside was in the group.
    group?.add(found)
  })
  preferAsVictim(outer)
  // What serves nobody at the moment must not keep a finished host process alive.
  child.unref()

  child.on('error', (error) => exit(`it could not be started: ${error.message}`))
  child.on('exit', (code, signal) => exit(signal === null ? describeExit(code ?? 0) : `signal ${signal}`))

  function exit(how: string): void {
    if (isExited) return
    isExited = true
    onExit(how)
    void hunt().then(gone.resolve, gone.resolve)
  }

  /** The process outside passes on how the one inside ended, as shells do. */
  function describeExit(code: number): string {
    const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0]
    return seccomp === undefined || signal === undefined ? `exit code ${code}` : `signal ${signal}`
  }

  async function hunt(): Promise<void> {
    await group?.end()
    for (let round = 0; round < huntRounds; round += 1) {
      // Its number can belong to somebody else by now; the time of its start cannot.
      const isThere = first !== undefined && startTimeOf(first.pid) === first.startTime
      if (isThere) end((first as { pid: number }).pid)
      const ended = launch.uid === undefined ? 0 : await endUser(launch.uid)
      if (!isThere && ended === 0) return
      await new Promise((resolve) => setTimeout(resolve, huntEveryMs).unref())
    }
  }

  let locating: Promise<void> | undefined
  async function locate(): Promise<void> {
    if (told === undefined) return
    const found = await told
    const [node] = found === undefined ? [] : await childrenOf(found)
    if (found === undefined || node === undefined) return
    pid = node
    group?.add(node)
    preferAsVictim(found)
    preferAsVictim(node)
    const [file, ...args] = launch.late?.(node) ?? []
    if (file !== undefined) execFile(file, args, { env: {} }, () => {})
  }

  return {
    get pid() {
      return pid
    },
    channel: child.stdio[3] as Duplex,
    output: child.stdout as Readable,
    errors: child.stderr as Readable,
    locate: () => (locating ??= locate()),
    kill() {
      if (isExited || outer === 0) return
      end(-outer)
      if (first !== undefined && startTimeOf(first.pid) === first.startTime) end(first.pid)
    },
    onExit(listener) {
      onExit = listener
    },
    gone: gone.promise,
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}

/** The pid, as seen from here, of the first process in the namespace. */
function firstInside(info: Readable): Promise<number | undefined> {
  let text = ''
  return new Promise((resolve) => {
    info.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const found = /"child-pid":\s*(\d+)/.exec(text)?.[1]
      if (found !== undefined) resolve(Number(found))
      if (text.length > 4_096) info.destroy()
    })
    info.on('error', () => {})
    info.on('close', () => resolve(undefined))
  })
}

/** When memory runs out, the kernel shall take plugins before anything else. It may be gone already. */
function preferAsVictim(pid: number): void {
  if (process.platform === 'linux' && pid !== 0) writeFile(`/proc/${pid}/oom_score_adj`, '1000').catch(() => {})
}
