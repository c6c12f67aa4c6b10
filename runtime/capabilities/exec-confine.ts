/** What a command is run with: the fewest rights this machine lets us take, and the least it can be given. */
import { spawn } from 'node:child_process'
import { type FileHandle, readFile } from 'node:fs/promises'
import { basename } from 'node:path'

/** All that a command finds in its environment. */
export const commandEnv = { PATH: '/usr/bin:/bin', LANG: 'C', TZ: 'UTC' } as const
const fileBytes = 64 * 1024 * 1024
const openFiles = 256
const daemonFiles = 65_536
/** The user and group `nobody`, under which a command runs when Orchestry itself runs as root. */
const nobody = 65_534
/** Where the command finds its own program, already open. */
const programFd = 3

export interface Launch {
  readonly file: string
  readonly args: readonly string[]
  readonly argv0?: string
}

export const commandUser = (): { uid: number; gid: number } | object =>
  process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}

/** Who owns what is made for a command; undefined where it runs as we do. */
export const commandOwner = (): number | undefined => (process.getuid?.() === 0 ? nobody : undefined)

/**
 * What is really started. On Linux it is the program that was verified, by its descriptor: its path may mean another by now.
 * Only a program that looks at the name it was called by (a link to one of many in one file) is started by its path.
 */
export function launchOf(path: string, realPath: string, args: readonly string[], wrapper: readonly string[]): Launch {
  const isByDescriptor = process.platform === 'linux' && basename(path) === basename(realPath)
  const program = isByDescriptor ? `/proc/self/fd/${programFd}` : path
  const [file, ...before] = wrapper
  if (file === undefined) return { file: program, args, argv0: path }
  return { file, args: [...before, program, ...args] }
}

/** The words before a server that stays: nothing bounds its time, and more connections than files of a command are open. */
export function createDaemonWrapper(): () => Promise<readonly string[]> {
  let words: Promise<readonly string[]> | undefined
  const choose = async () => {
    const files = Math.min(daemonFiles, await mostFiles())
    for (const isIgnoring of [true, false]) {
      const tried = daemonWords(files, isIgnoring)
      if (await canRun(tried)) return tried
    }
    return []
  }
  return () => (words ??= choose())
}

/** A log that reaches the bound of its size is to end there, and not the server that writes it. */
const daemonWords = (files: number, isIgnoringFullFiles: boolean) => [
  ...['/usr/bin/prlimit', '--core=0', `--fsize=${fileBytes}`, `--nofile=${files}`],
  ...(isIgnoringFullFiles ? ['/usr/bin/env', '--ignore-signal=XFSZ'] : []),
  ...['/usr/bin/setpriv', '--no-new-privs', '--'],
]

/** What this process may open at most; what it starts can be given no more. */
async function mostFiles(): Promise<number> {
  const text = await readFile('/proc/self/limits', 'latin1').catch(() => '')
  const most = /^Max open files\s+\S+\s+(\S+)/m.exec(text)?.[1]
  return most === 'unlimited' ? daemonFiles : Number(most ?? openFiles)
}

/** As `spawn` wants it: nothing to read from, two pipes, and the program as the descriptor that `launchOf` names. */
export const commandStdio = (program: FileHandle) => ['ignore', 'pipe', 'pipe', program.fd] as const

/**
 * Makes the words before a command that take rights away: no new ones by any program it starts, an end with our own, and
 * bounds on processor time (of each process), files and cores. None where the machine has not the tools for it.
 */
export function createWrapper(): (cpuSeconds: number) => Promise<readonly string[]> {
  let isUsable: Promise<boolean> | undefined
  return async (cpuSeconds) => {
    isUsable ??= canRun(wordsFor(1))
    return (await isUsable) ? wordsFor(cpuSeconds) : []
  }
}

const wordsFor = (cpuSeconds: number) => [
  '/usr/bin/prlimit',
  '--core=0',
  `--cpu=${cpuSeconds}`,
  `--fsize=${fileBytes}`,
  `--nofile=${openFiles}`,
  '/usr/bin/setpriv',
  '--no-new-privs',
  '--pdeathsig',
  'KILL',
  '--',
]

/** Whether the command that just ended was never begun, by what the words before it say of that. */
export const wasNotStarted = (code: number | null, stderr: string): boolean =>
  (code === 126 || code === 127) && /^(?:prlimit|setpriv): /.test(stderr)

async function canRun(wrapper: readonly string[]): Promise<boolean> {
  const [file = '', ...args] = wrapper
  return await new Promise((resolve) => {
    const options = { stdio: 'ignore', env: commandEnv, timeout: 2_000, ...commandUser() } as const
    const trial = spawn(file, [...args, '/bin/true'], options)
    trial.once('error', () => resolve(false))
    trial.once('close', (code) => resolve(code === 0))
  })
}
