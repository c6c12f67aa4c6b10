/** Runs one command to its end, or to the end of its time or its output, and leaves none of its processes behind. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { FileHandle } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { ExecResult } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import { commandEnv, commandStdio, commandUser, type Launch, wasNotStarted } from './exec-confine.ts'
import { killFamily, killGroup } from './exec-group.ts'

interface RunBounds {
  readonly timeoutMs: number
  /** Of both outputs together. */
  readonly outputBytes: number
}

export interface RunningCommand {
  readonly result: Promise<ExecResult>
  /** Ends it now. */
  end(): void
}

/** How long outputs may stay open after the command itself has ended. */
const lingerMs = 100

export function startCommand(
  command: {
    readonly name: string
    readonly launch: Launch
    readonly program: FileHandle
    /** Where it runs. */
    readonly scratch: string
    readonly isShared: boolean
  },
  bounds: RunBounds,
  clock: Clock,
): RunningCommand {
  const { name, launch, program, scratch, isShared } = command
  // Whoever stands in a directory that is its own alone belongs to it.
  const own = isShared ? undefined : scratch
  const startedAtMs = clock.monotonic()
  const child = spawn(launch.file, launch.args, {
    cwd: scratch,
    env: commandEnv,
    stdio: [...commandStdio(program)],
    detached: true,
    ...(launch.argv0 === undefined ? {} : { argv0: launch.argv0 }),
    ...commandUser(),
  }) as ChildProcessByStdio<null, Readable, Readable>
  const outcome = Promise.withResolvers<ExecResult>()
  child.once('error', (error) => outcome.reject(notStarted(name, messageOf(error))))
  // Without a descriptor to spare there are no pipes, and the error above comes only after we have returned.
  if ((child.stdout as Readable | null | undefined) == null) return { result: outcome.promise, end: () => {} }
  const output = collect(child, bounds.outputBytes, () => end())
  let ending: Promise<void> | undefined
  let isLate = false
  let exit: { code: number | null; signal: string | null } | undefined

  function end(): void {
    const { pid } = child
    if (pid === undefined) return
    ending ??= killFamily(pid, exit === undefined, own, 'all').then(() => {
      // Whoever still holds the pipes was out of reach; it shall not hold us as well.
      clock.after(lingerMs, finish)
    })
  }
  function finish(): void {
    child.stdout.destroy()
    child.stderr.destroy()
    outcome.resolve({
      ...(exit ?? { code: null, signal: 'SIGKILL' }),
      stdout: output.stdout(),
      stderr: output.stderr(),
      isCut: output.isCut(),
      durationMs: clock.monotonic() - startedAtMs,
    })
  }
  const stopTimer = clock.after(bounds.timeoutMs, () => {
    isLate = true
    end()
  })
  let stopLinger = () => {}
  child.once('exit', (code, signal) => {
    exit = { code, signal }
    stopTimer()
    if (child.pid !== undefined) killGroup(child.pid)
    stopLinger = clock.after(lingerMs, end)
  })
  child.once('close', finish)

  async function wait(): Promise<ExecResult> {
    try {
      const done = await outcome.promise
      stopLinger()
      // Also what let go of the outputs and stayed.
      if (child.pid !== undefined) await (ending ?? killFamily(child.pid, false, own, 'newer'))
      if (wasNotStarted(done.code, done.stderr)) throw notStarted(name, 'it could not be executed')
      if (!isLate) return done
      const why = `${name} had not ended after ${Math.round(bounds.timeoutMs)} ms and was killed, with all that it had started`
      throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.exec: ${why}. What it had done until then is done.`)
    } finally {
      stopTimer()
    }
  }
  return { result: wait(), end }
}

const notStarted = (name: string, why: string) =>
  new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.exec: ${name} could not be started: ${why.slice(0, 100)}`)

/** Keeps the first bytes of both outputs, and says when there were more. */
function collect(child: ChildProcessByStdio<null, Readable, Readable>, most: number, onFull: () => void) {
  let left = most
  let isCut = false
  const keep = (stream: Readable) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => {
      if (chunk.length > left) {
        isCut = true
        stream.pause()
        onFull()
      }
      chunks.push(chunk.subarray(0, left))
      left -= Math.min(left, chunk.length)
    })
    stream.on('error', () => {})
    return () => Buffer.concat(chunks).toString('utf8')
  }
  return { stdout: keep(child.stdout), stderr: keep(child.stderr), isCut: () => isCut }
}
