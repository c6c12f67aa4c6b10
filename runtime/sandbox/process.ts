/**
 * One sandbox process as the host sees it: a channel that carries frames, and a life that ends by SIGKILL. A frame that is
 * not in the protocol ends it too; nothing it writes can throw here.
 */
import type { Readable } from 'node:stream'
import { messageOf } from '../errors.ts'
import { escapeControls, type Log } from '../log.ts'
import { spawnConfined } from './confined-child.ts'
import type { Confinement } from './confinement.ts'
import { createFrameReader, encodeFrame } from './frame.ts'
import { residentMb, usedCpuMs } from './process-table.ts'
import { type FromGuest, maxFrameFromGuestBytes, maxHeaderBytes, parseFromGuest, type ToGuest } from './protocol.ts'
import { createTimeBudget } from './time-budget.ts'

export interface Death {
  /** `violation`: it spoke out of protocol; `killed`: we ended it; `exited`: it ended by itself. */
  readonly cause: 'violation' | 'killed' | 'exited'
  readonly message: string
}

export interface SandboxProcess {
  /** Of Node itself, once it is ready. */
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
  /** Resolves after its end, when nothing that it may have started is left either. */
  readonly gone: Promise<void>
  kill(reason: string, cause?: Death['cause']): void
}

const maxWaitingBytes = 16 * 1024 * 1024
const maxStderrBytes = 64 * 1024
const readyMs = 10_000
/** Ours come in at once; one that drips in keeps itself from being heard, and us from knowing why. */
const maxFrameMs = 2_000
/** Frames that answer nothing: a beat every 100 ms, and one for each message of ours; so many more are no flood yet. */
const leastBeatMs = 50
const spareFrames = 100

export function startSandboxProcess(confinement: Confinement, isJit: boolean, log: Log): SandboxProcess {
  const child = spawnConfined(confinement.launch(isJit))
  const { channel } = child
  const reader = createFrameReader({ maxFrameBytes: maxFrameFromGuestBytes, maxHeaderBytes, maxFrameMs })
  const budget = createTimeBudget(performance.now())
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
    if (!isExited) child.kill()
  }

  const collect = (stream: Readable) =>
    stream.on('data', (chunk: Buffer) => {
      noise += chunk.toString('latin1')
      // Nothing of ours writes that much; reading on would be work for us at the pace of whoever does.
      if (noise.length > maxStderrBytes) stream.destroy()
    })
  collect(child.output)
  collect(child.errors)

  channel.on('data', (chunk: Buffer) => {
    if (death !== undefined) return
    const heardMs = performance.now()
    try {
      for (const frame of reader.push(chunk)) {
        if (isOver()) return
        const message = parseFromGuest(frame.header, frame.body)
        lastHeardMs = performance.now()
        countUnasked(message)
        if (message.op === 'ready') void child.locate().then(becomeReady, becomeReady)
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

  child.onExit(end)

  function end(how: string): void {
    if (isExited) return
    isExited = true
    channel.destroy()
    const last = death ?? { cause: 'exited' as const, message: `the sandbox process ended by itself (${how})` }
    if (noise !== '')
      log.debug({ pid: child.pid, output: escapeControls(noise.slice(-2_000)) }, 'what a sandbox process wrote')
    failToStart(new Error(last.message))
    onDeath(last)
    onDeath = () => {}
    onMessage = () => {}
  }

  // The exit that usually follows says more than a broken channel does; only a process that stays is killed for it.
  const onBroken = () => setTimeout(() => kill('its channel broke', 'exited'), 100).unref()
  channel.on('error', onBroken)
  channel.on('close', onBroken)

  return {
    get pid() {
      return child.pid
    },
    isJit,
    get isDead() {
      return death !== undefined || isExited
    },
    get lastHeardMs() {
      return lastHeardMs
    },
    ready,
    gone: child.gone,
    memoryMb: () => residentMb(child.pid),
    cpuMs: () => usedCpuMs(child.pid),
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
