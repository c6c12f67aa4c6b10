/** Starts the proxy process, finds one that is running, and makes sure that one has ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Pong } from './control.ts'
import { createLink, type Link } from './link.ts'

export interface RunningProcess {
  readonly pid: number
  readonly link: Link
  readonly pong: Pong
}

export interface ProcessOptions {
  readonly dataDir: string
  readonly socketPath: string
  readonly build: string
  readonly clock: Clock
}

const pollMs = 10
const startTimeoutMs = 10_000
const killTimeoutMs = 1_000

/** Resolves when the new process answers on its control socket; it does not listen for traffic yet. */
export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const { dataDir, clock } = options
  const child = await spawnProcess(options)
  const untilMs = clock.monotonic() + startTimeoutMs
  let ended: string | undefined
  child.once('error', (error) => {
    ended = messageOf(error)
  })
  child.once('exit', (code, signal) => {
    ended = `it ended with ${signal ?? `code ${code}`}`
  })
  child.unref()
  if (child.pid !== undefined) await writeFile(pidPath(dataDir), String(child.pid), { mode: 0o600 })
  while (ended === undefined && clock.monotonic() < untilMs) {
    const found = await findProcess(options)
    if (found !== undefined && found.pid === child.pid) return found
    found?.link.close()
    await clock.sleep(pollMs)
  }
  child.kill('SIGKILL')
  throw new OrchestryError(
    'ORC_DATAPLANE_UNAVAILABLE',
    `The proxy process did not start: ${ended ?? `no answer within ${startTimeoutMs} ms`}. See ${logPath(dataDir)}.`,
  )
}

/** The process that answers on the control socket, if any. */
export async function findProcess({
  socketPath,
}: Pick<ProcessOptions, 'socketPath'>): Promise<RunningProcess | undefined> {
  const isThere = await stat(socketPath).then(
    () => true,
    () => false,
  )
  if (!isThere) return undefined
  const link = createLink(socketPath)
  try {
    const pong = await link.ping()
    return { pid: pong.pid, link, pong }
  } catch {
    link.close()
    return undefined
  }
}

/** Ends a process that may no longer obey, and waits a moment for it to be gone. */
export async function killProcess(pid: number, { socketPath, clock }: ProcessOptions): Promise<void> {
  if (!(await isAlive(pid, socketPath))) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in between.
  }
  await waitForEnd(pid, { socketPath, clock }, killTimeoutMs)
}

/** One that an earlier controller left, and that does not answer any more, still holds the address. */
export async function killSilentProcess(options: ProcessOptions): Promise<void> {
  // Elsewhere nothing would prove that the number is still that of our process.
  if (process.platform !== 'linux') return
  const pid = Number(await readFile(pidPath(options.dataDir), 'utf8').catch(() => '0'))
  if (Number.isInteger(pid) && pid > 1) await killProcess(pid, options)
}

/** False when it is still there after the time. */
export async function waitForEnd(
  pid: number,
  { socketPath, clock }: Pick<ProcessOptions, 'socketPath' | 'clock'>,
  timeoutMs: number,
): Promise<boolean> {
  const untilMs = clock.monotonic() + timeoutMs
  while (await isAlive(pid, socketPath)) {
    if (clock.monotonic() >= untilMs) return false
    await clock.sleep(pollMs)
  }
  return true
}

/** The socket among its arguments proves that the number was not given to another process; a zombie has no arguments. */
async function isAlive(pid: number, socketPath: string): Promise<boolean> {
  if (process.platform === 'linux') {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return command.split('\0').includes(socketPath)
  }
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function spawnProcess({ dataDir, socketPath, build }: ProcessOptions): Promise<ChildProcess> {
  const extension = extname(import.meta.filename)
  const flags = extension === '.ts' ? ['--conditions=@orchestry/source'] : ['--enable-source-maps']
  const log = await openLog(dataDir)
  try {
    return spawn(
      process.execPath,
      [
        ...flags,
        join(import.meta.dirname, `main${extension}`),
        ...['--socket', socketPath, '--build', build, '--data-dir', dataDir],
      ],
      // A group of its own: what ends the controller or its terminal must not end the traffic.
      {
        cwd: dataDir,
        detached: true,
        env: { NODE_COMPILE_CACHE: join(dataDir, 'compile-cache') },
        stdio: ['ignore', log.fd, log.fd],
      },
    )
  } finally {
    await log.close()
  }
}

/** Appends to the log of the process before; a large one is set aside, and only one is kept. */
async function openLog(dataDir: string) {
  const path = logPath(dataDir)
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > limits.proxyLogBytes) await rename(path, `${path}.1`)
  return open(path, 'a', 0o600)
}

function logPath(dataDir: string): string {
  return join(dataDir, 'proxy.log')
}

function pidPath(dataDir: string): string {
  return join(dataDir, 'proxy.pid')
}
