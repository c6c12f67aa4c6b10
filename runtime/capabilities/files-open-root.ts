/** Keeps the directory of a root open for as long as somebody works in it, and sees to it that it is still the one granted. */
import { constants } from 'node:fs'
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises'
import { OrchestryError } from '../errors.ts'
import { rootProblem } from './files-roots.ts'
import type { RootRule } from './files-rule.ts'
import { hasCode, type OpenRoot } from './files-walk.ts'

export interface RootKeeper {
  /** Opens the root if it is not open. @throws ORC_CAPABILITY_DENIED when it became what no root may be. */
  withRoot<T>(work: (root: OpenRoot) => Promise<T>): Promise<T>
  close(): void
}

interface Held {
  readonly root: OpenRoot
  readonly handle: FileHandle
  readonly path: string
  users: number
  isOver: boolean
}

/** `ownDir` makes the directory of the instance, for the root that is that one. */
export function createRootKeeper(
  rule: RootRule,
  reserved: readonly string[],
  ownDir: () => Promise<string>,
): RootKeeper {
  const openIt = async () =>
    rule.isOwn ? await openRoot({ ...rule, path: await ownDir() }, []) : await openRoot(rule, reserved)
  let opening: Promise<Held> | undefined

  /** The number of a closed descriptor may be another's at once, so it is closed only after the last user. */
  const closeIfOver = (held: Held) => {
    if (held.isOver && held.users === 0) void held.handle.close().catch(() => {})
  }
  const giveUp = (held: Held) => {
    held.isOver = true
    closeIfOver(held)
  }

  async function take(): Promise<Held> {
    for (let attempt = 0; ; attempt += 1) {
      opening ??= openIt()
      const mine = opening
      const held = await mine.catch((error: unknown) => {
        if (opening === mine) opening = undefined
        throw error
      })
      if (held.isOver) continue
      held.users += 1
      // A directory that was moved away or replaced since is not the one that stands there now.
      const isThere = (await readlink(`/proc/self/fd/${held.handle.fd}`)) === held.path
      if (isThere || attempt > 0) return held
      held.users -= 1
      if (opening === mine) opening = undefined
      giveUp(held)
    }
  }

  return {
    async withRoot(work) {
      const held = await take()
      try {
        return await work(held.root)
      } finally {
        held.users -= 1
        closeIfOver(held)
      }
    },
    close() {
      void opening?.then(giveUp, () => {})
      opening = undefined
    },
  }
}

async function openRoot(rule: RootRule, reserved: readonly string[]): Promise<Held> {
  const refuse = (why: string) =>
    new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.files: the root "${rule.name}" cannot be used: ${why}`)
  const unreadable = refuse('the user that Orchestry runs as may not read it')
  const path = await realpath(rule.path).catch((error: unknown) => {
    if (hasCode(error, 'EACCES')) throw unreadable
    return undefined
  })
  // As it is written too: what leads through /proc must not be granted for where it happens to lead.
  const problem = rootProblem(rule.path, reserved) ?? (path === undefined ? undefined : rootProblem(path, reserved))
  if (problem !== undefined) throw refuse(problem)
  const missing = new OrchestryError(
    'ORC_CAPABILITY_FAILED',
    `ctx.files: there is no directory ${rule.path} (root "${rule.name}"); the operator must make it`,
  )
  if (path === undefined) throw missing
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
  const handle = await open(path, flags).catch((error: unknown) => {
    throw hasCode(error, 'EACCES') ? unreadable : missing
  })
  try {
    // A part of the path may have been swapped since it was resolved: what counts is what was opened.
    if ((await readlink(`/proc/self/fd/${handle.fd}`)) !== path) throw refuse('its path changed while it was opened')
    const { dev } = await handle.stat({ bigint: true })
    return { root: { name: rule.name, fd: handle.fd, device: dev }, handle, path, users: 0, isOver: false }
  } catch (error) {
    await handle.close()
    throw error
  }
}
