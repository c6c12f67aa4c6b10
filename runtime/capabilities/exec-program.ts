/** A program that may be run: what it must be, and that it still is the one that the operator agreed to. */
import { createHash } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { absoluteProblem } from './absolute-path.ts'
import { overlapping, realPathOf } from './real-path.ts'

const programBytes = 512 * 1024 * 1024
const chunkBytes = 256 * 1024
/** The clock of a file system is coarse: what changed just now may change again without a new time. */
const settledMs = 2_000
const shells =
  /^(?:ba|da|a|z|k|mk|c|tc|fi|r|lk|nu)?sh$|^busybox$|^(?:sudo|su|doas|pkexec|runuser|setpriv|nsenter|chroot|env)$/

/** What is wrong with the path of a command, as it stands in the grant; also where it leads to on this machine. */
export function programProblem(path: string, reserved: readonly string[]): string | undefined {
  const spelled = absoluteProblem(path)
  if (spelled !== undefined) return spelled
  // Many a small system has all its tools in one such file; called by a tool's name it is that tool.
  const shell =
    [path, realPathOf(path)].map((one) => basename(one)).find((name) => shells.test(name)) ?? busyboxOf(path)
  if (shell !== undefined)
    return `"${shell}" runs whatever it is told; name the program itself, which needs no shell around it`
  const met = overlapping(path, ['/proc', '/dev', '/sys', ...reserved])
  return met === undefined ? undefined : `"${path}" lies in ${met}, where no program may be granted`
}

const busyboxOf = (path: string) => (basename(path) === 'busybox' ? 'busybox' : undefined)

export interface ProgramVerifier {
  /**
   * Opens the program and compares what it holds. The caller closes the handle, and runs what it stands for.
   *
   * `plugin` is whose operator would have to agree to another one.
   *
   * @throws ORC_CAPABILITY_DENIED when it is another program, ORC_CAPABILITY_FAILED when there is none.
   */
  open(
    path: string,
    digest: string | undefined,
    plugin?: string,
  ): Promise<{ handle: FileHandle; realPath: string; digest: string }>
}

export function createProgramVerifier(clock: Clock): ProgramVerifier {
  /** By path: what a program held when it was last read, for as long as its inode says that nobody has touched it. */
  const known = new Map<string, { state: string; digest: string }>()
  return {
    async open(path, wanted, plugin) {
      const realPath = await realpath(path).catch(() => {
        throw new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.exec: there is no program ${path}. Nothing was run.`)
      })
      const refuse = (why: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.exec: ${path} ${why}`)
      const handle = await open(realPath, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW).catch(
        () => {
          throw refuse('cannot be read by the user that Orchestry runs as, so it cannot be verified. Nothing was run.')
        },
      )
      try {
        const stat = await handle.stat({ bigint: true })
        const problem = statProblem(stat)
        if (problem !== undefined) throw refuse(problem)
        const state = [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(':')
        const before = known.get(path)
        const digest = before?.state === state ? before.digest : await digestOf(handle)
        const isSettled = clock.now() - Number(stat.ctimeMs) > settledMs
        if (isSettled) known.set(path, { state, digest })
        if (wanted === undefined || digest === wanted) return { handle, realPath, digest }
        throw refuse(
          `is not the program that was agreed to: its sha-256 is ${digest}. Look at what changed it; to agree to it as it is now${plugin === undefined ? ', install the plugin again' : `: orchestry plugin approve ${plugin}`}. Nothing was run.`,
        )
      } catch (error) {
        await handle.close()
        throw error
      }
    },
  }
}

function statProblem(stat: BigIntStats): string | undefined {
  if (!stat.isFile()) return 'is not a file'
  if (stat.size > programBytes) return `is larger than ${programBytes / 1024 / 1024} MB`
  const mode = Number(stat.mode)
  if ((mode & 0o111) === 0) return 'is not executable'
  if ((mode & 0o6000) !== 0) return 'runs with the rights of another user (setuid or setgid), which no plugin may use'
  if ((mode & 0o002) !== 0) return 'may be written by every user of this machine; take that right away (chmod o-w)'
  return undefined
}

async function digestOf(handle: FileHandle): Promise<string> {
  const hash = createHash('sha256')
  const chunk = Buffer.alloc(chunkBytes)
  for (let at = 0; at <= programBytes; ) {
    const { bytesRead } = await handle.read(chunk, 0, chunkBytes, at)
    if (bytesRead === 0) break
    hash.update(chunk.subarray(0, bytesRead))
    at += bytesRead
  }
  return hash.digest('hex')
}
