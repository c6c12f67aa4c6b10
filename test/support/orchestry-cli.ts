/** Runs `orchestry` as a process of its own, as a user's shell does. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url))
/** The launcher that npm links as `orchestry`. */
const launcher = [pathOf('../../runtime/cli/orchestry.js')]
/** The same command line, where `serve` and `demo` only tell that they were called. */
const withoutRuntime = ['--conditions=@orchestry/source', pathOf('./cli-entry.ts')]

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}
export interface Running {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<Ended>
}

export function startCli(
  args: readonly string[],
  {
    env = {},
    input,
    cwd,
    isWithoutRuntime = false,
  }: { env?: Record<string, string>; input?: string; cwd?: string; isWithoutRuntime?: boolean } = {},
): Running {
  const program = isWithoutRuntime ? withoutRuntime : launcher
  const { ORCHESTRY_URL: _url, NO_COLOR: _colour, FORCE_COLOR: _force, ...inherited } = process.env
  const child = spawn(process.execPath, [...program, ...args], {
    env: { ...inherited, ...env },
    ...(cwd && { cwd }),
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8')
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input ?? '')
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
  return { child, stdout: () => stdout, stderr: () => stderr, ended }
}

export const runCli = (...args: Parameters<typeof startCli>): Promise<Ended> => startCli(...args).ended
