/**
 * One sandbox process as the host sees it: a channel that carries frames, and a life that ends by SIGKILL. A frame that is
 * not in the protocol ends it too; nothing it writes can throw here.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type { Duplex, Readable } from 'node:stream'
import { messageOf } from '../errors.ts'
import { escapeControls, type Log } from '../log.ts'
import { createFrameReader, encodeFrame } from './frame.ts'
import { type FromGuest, maxFrameFromGuestBytes, maxHeaderBytes, parseFromGuest, type ToGuest } from './protocol.ts'
import { createReadingBudget } from './reading-budget.ts'

export interface ProcessProgram {
  /** Path of the program and of the engine's binary: all it may read. */
  readonly path: string
  readonly addon: string
}

export interface Death {
  /** `violation`: it spoke out of protocol; `killed`: we ended it; `exited`: it ended by itself. */
  readonly cause: 'violation' | 'killed' | 'exited'
  readonly message: string
}

export interface SandboxProcess {
  readonly pid: number
  readonly isJit: boolean
  readonly isDead: boolean
  /** When the last frame came in, on the monotonic clock. */
  readonly lastHeardMs: number
  /** Resident memory in MB as the kernel counts it; 0 when it is gone. */
  memoryMb(): number
  /** Processor time it has used since it began, in ms (user and system, of all its threads); 0 when it is gone. */
  cpuMs(): number
  send(message: ToGuest, body?: string): void
  /** Takes the place of the earlier listeners: a process belongs to one owner at a time. */
  own(listeners: { onMessage(message: FromGuest, body: string): void; onDeath(death: Death): void }): void
  /** Resolves when the process can take work, rejects when it died before. */
  readonly ready: Promise<void>
  kill(reason: string, cause?: Death['cause']): void
}

const maxWaitingBytes = 16 * 1024 * 1024
const maxStderrBytes = 64 * 1024
const readyMs = 10_000
/** Frames that answer nothing: a beat every 100 ms, and one for each message of ours; so many more are no flood yet. */
const leastBeatMs = 50
const spareFrames = 100

export function startSandboxProcess(program: ProcessProgram, isJit: boolean, log: Log): SandboxProcess {
  const flags = [
    ...(isJit ? ['--enable-sharedarraybuffer-per-context'] : ['--jitless']),
    ...(process.platform === 'linux' ? [] : ['--no-node-snapshot']),
    '--no-warnings',
    '--permission',
    '--allow-addons',
    `--allow-fs-read=${program.path}`,
    `--allow-fs-read=${program.addon}`,
    '--disable-proto=throw',
    '--disable-sigusr1',
    '--max-old-space-size=128',
  ]
  const child = spawn(process.execPath, [...flags, program.path, program.addon], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { TZ: 'UTC', LANG: 'C' },
    cwd: '/',
    // Its own group and session: one signal ends whatever it might have become.
    detached: true,
  })
  const channel = child.stdio[3] as Duplex
  const reader = createFrameReader({ maxFrameBytes: maxFrameFromGuestBytes, maxHeaderBytes })
  const pid = child.pid ?? 0
  const budget = createReadingBudget(performance.now())
  let death: Death | undefined
  let isExited = false
  let lastHeardMs = performance.now()
  let noise = ''
  const startedMs = performance.now()
  let unaskedFrames = 0
  let sentFrames = 0
  let onMessage: (message: FromGuest, body: string) => void = () => {}
  let onDeath: (death: Death) => void = () => {}
  let becomeReady: () => void = () => {}
  let failToStart: (error: Error) => void = () => {}
  const ready = new Promise<void>((resolve, reject) => {
    becomeReady = resolve
    failToStart = reject
  })
  const patience = setTimeout(() => kill(`it was not ready within ${readyMs / 1000} s`), readyMs).unref()
  void ready.catch(() => {}).then(() => clearTimeout(patience))

  const kill = (message: string, cause: Death['cause'] = 'killed') => {
    death ??= { cause, message }
    if (isExited || pid === 0) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      child.kill('SIGKILL')
    }
  }

  const collect = (stream: Readable) =>
    stream.on('data', (chunk: Buffer) => {
      noise += chunk.toString('latin1')
      // Nothing of ours writes that much; reading on would be work for us at the pace of whoever does.
      if (noise.length > maxStderrBytes) stream.destroy()
    })
  collect(child.stdout as Readable)
  collect(child.stderr as Readable)

  channel.on('data', (chunk: Buffer) => {
    if (death !== undefined) return
    const heardMs = performance.now()
    try {
      for (const frame of reader.push(chunk)) {
        if (isOver()) return
        const message = parseFromGuest(frame.header)
        lastHeardMs = performance.now()
        countUnasked(message)
        if (message.op === 'ready') becomeReady()
        else onMessage(message, frame.body)
      }
    } catch (thrown) {
      kill(messageOf(thrown), 'violation')
    }
    restReading(performance.now() - heardMs)
  })
  /** Any frame can end its life, and those behind it in the same chunk are not heard any more. */
  const isOver = () => death !== undefined

  /** Who takes too much of our time by what it says is not read for a while; its pipe fills up, and it waits. */
  function restReading(tookMs: number): void {
    const restMs = budget.spend(tookMs, performance.now())
    if (restMs === 0) return
    channel.pause()
    setTimeout(() => channel.resume(), restMs).unref()
  }

  function countUnasked({ op }: FromGuest): void {
    if (op === 'result' || op === 'host') return
    unaskedFrames += 1
    const allowed = spareFrames + sentFrames + (lastHeardMs - startedMs) / leastBeatMs
    if (unaskedFrames > allowed) throw new Error(`${unaskedFrames} frames that nobody asked for`)
  }

  child.on('error', (error) => end(`it could not be started: ${error.message}`))
  child.on('exit', (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`))

  function end(how: string): void {
    if (isExited) return
    isExited = true
    channel.destroy()
    const last = death ?? { cause: 'exited' as const, message: `the sandbox process ended by itself (${how})` }
    if (noise !== '') log.debug({ pid, output: escapeControls(noise.slice(-2_000)) }, 'what a sandbox process wrote')
    failToStart(new Error(last.message))
    onDeath(last)
    onDeath = () => {}
    onMessage = () => {}
  }

  if (process.platform === 'linux' && pid !== 0) {
    // When memory runs out, the kernel shall take plugins before anything else. It may be gone already.
    writeFile(`/proc/${pid}/oom_score_adj`, '1000').catch(() => {})
  }
  // The exit that usually follows says more than a broken channel does; only a process that stays is killed for it.
  const onBroken = () => setTimeout(() => kill('its channel broke', 'exited'), 100).unref()
  channel.on('error', onBroken)
  channel.on('close', onBroken)
  // What serves nobody at the moment must not keep a finished host process alive.
  child.unref()

  return {
    pid,
    isJit,
    get isDead() {
      return death !== undefined || isExited
    },
    get lastHeardMs() {
      return lastHeardMs
    },
    ready,
    memoryMb: () => residentMb(pid),
    cpuMs: () => usedCpuMs(pid),
    send(message, body = '') {
      if (death !== undefined || isExited) return
      sentFrames += 1
      channel.write(encodeFrame(JSON.stringify(message), body))
      if (channel.writableLength > maxWaitingBytes) kill('it does not read its channel', 'violation')
    },
    own(listeners) {
      onMessage = listeners.onMessage
      onDeath = listeners.onDeath
    },
    kill,
  }
}

const pageMb = 4096 / (1024 * 1024)

function residentMb(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * pageMb
  } catch {
    return 0
  }
}

/** The kernel counts in hundredths of a second for everybody who asks it, whatever it counts in itself. */
const kernelTickMs = 10

function usedCpuMs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // Its name stands in brackets and may hold anything; what follows the last bracket begins with the third field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * kernelTickMs
  } catch {
    return 0
  }
}
