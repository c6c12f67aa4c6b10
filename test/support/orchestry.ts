/** A whole Orchestry as its user starts it: the launcher as a child process, its own data directory, free ports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { removeDir, tempDir } from './temp-dir.ts'
import { testedTier } from './tested-tier.ts'
import { waitFor } from './wait-for.ts'

const launcher = fileURLToPath(new URL('../../runtime/cli/orchestry.js', import.meta.url))
/** The program and its first arguments; an installed package has its own. */
type Command = readonly [string, ...string[]]
const fromSource: Command = [process.execPath, launcher]

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningOrchestry {
  readonly url: string
  readonly proxyUrl: string
  readonly dataDir: string
  readonly pid: number
  /** Milliseconds from the start of the process to its first word. */
  readonly readyMs: number
  readonly output: () => string
  /** GET or another request to the API; the parsed JSON. */
  api<T>(path: string, init?: { method?: string; body?: unknown }): Promise<T>
  cli(...args: string[]): Promise<CliResult>
  /** SIGTERM, and wait for the end. Returns the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL to the process alone: what it started goes on. */
  kill(): Promise<void>
}

type Cleanup = { after(run: () => Promise<void>): void }

export function runCli(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  [program, ...first]: Command = fromSource,
): Promise<CliResult> {
  return new Promise((resolve) => {
    const child = spawn(program, [...first, ...args], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    child.on('exit', (code) => resolve({ code, stdout, stderr }))
  })
}

/**
 * Starts one and waits until it serves. Without a `dataDir` it gets one of its own, removed after the test.
 * After the test it is stopped, with everything it ran.
 */
export async function startOrchestry(
  test: Cleanup,
  options: { dataDir?: string; args?: readonly string[]; env?: NodeJS.ProcessEnv; command?: Command } = {},
): Promise<RunningOrchestry> {
  const command = options.command ?? fromSource
  const [program, ...first] = command
  const dataDir = options.dataDir ?? (await tempDir())
  const startedMs = performance.now()
  const args = ['serve', '--port', '0', '--proxy-port', '0', '--data-dir', dataDir, ...(options.args ?? [])]
  const child: ChildProcess = spawn(program, [...first, ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ORCHESTRY_SANDBOX_TIER: testedTier, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout?.on('data', (chunk) => (output += chunk))
  child.stderr?.on('data', (chunk) => (output += chunk))
  const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)))
  let isEnded = false
  void ended.then(() => {
    isEnded = true
  })
  const stop = async () => {
    if (!isEnded) child.kill('SIGTERM')
    return ended
  }
  test.after(async () => {
    await stop()
    if (options.dataDir === undefined) await removeDir(dataDir)
  })
  const word = /page on (http:\S+)[\s\S]*comes in on\s+(http:\S+)/
  const [, url = '', proxyUrl = ''] = await waitFor(
    () => {
      if (isEnded) throw new Error(`orchestry serve ended: ${output}`)
      return word.exec(output) ?? undefined
    },
    // It takes two seconds of processor time; on a machine that does much else those may be long in coming.
    { timeoutMs: 60_000, what: 'orchestry serve to be ready' },
  )
  return {
    url,
    proxyUrl,
    dataDir,
    pid: child.pid ?? 0,
    readyMs: performance.now() - startedMs,
    output: () => output,
    async api<T>(path: string, init: { method?: string; body?: unknown } = {}) {
      const response = await fetch(`${url}${path}`, {
        method: init.method ?? 'GET',
        ...(init.body === undefined
          ? {}
          : { body: JSON.stringify(init.body), headers: { 'content-type': 'application/json' } }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${path}: ${response.status} ${text}`)
      return (text === '' ? undefined : JSON.parse(text)) as T
    },
    cli: (...cliArgs) => runCli(cliArgs, { ...options.env, ORCHESTRY_URL: url }, command),
    stop,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
