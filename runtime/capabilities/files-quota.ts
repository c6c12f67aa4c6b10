/** Counts what a plugin's files take, so that no more is written than was granted. Writes go one by one through it. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { blockBytes, type FilesRule } from './files-rule.ts'

export interface Tally {
  readonly bytes: number
  readonly files: number
}

export interface FilesQuota {
  /**
   * Runs `change` when what it brings fits; it says so first, because only in its turn is known what stands there already.
   *
   * @throws ORC_CAPABILITY_LIMIT before anything was written.
   */
  inTurn(change: () => Promise<{ readonly brings: Tally; readonly run: () => Promise<void> }>): Promise<void>
}

/** Others may add and remove files too; after this time they are counted anew. */
const freshMs = 5_000
/** What is refused is refused for what is there now, give or take this. */
const exactMs = 500

/** What a file takes on the disk, near enough: whole blocks, and one even when it is empty. */
export const spaceOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / blockBytes)) * blockBytes

export function createFilesQuota(rule: FilesRule, clock: Clock, count: () => Promise<Tally>): FilesQuota {
  let known: (Tally & { readonly atMs: number }) | undefined
  let turn: Promise<unknown> = Promise.resolve()

  async function tallyWithin(ageMs: number): Promise<Tally & { readonly atMs: number }> {
    if (known !== undefined && clock.monotonic() - known.atMs <= ageMs) return known
    known = { ...(await count()), atMs: clock.monotonic() }
    return known
  }

  function problem(now: Tally, brings: Tally): string | undefined {
    const [bytes, files] = [now.bytes + brings.bytes, now.files + brings.files]
    // What makes it less is let through even when others have put too much there.
    if (brings.bytes > 0 && bytes > rule.quotaBytes)
      return `with this ${bytes} bytes are kept (in blocks of ${blockBytes}); ${rule.quotaBytes / 1024} KB are granted (quotaKb)`
    return brings.files > 0 && files > rule.filesMost ? `${now.files} files are kept already (maxFiles)` : undefined
  }

  async function take(change: Parameters<FilesQuota['inTurn']>[0]): Promise<void> {
    const { brings, run } = await change()
    let now = await tallyWithin(freshMs)
    if (problem(now, brings) !== undefined) now = await tallyWithin(exactMs)
    const why = problem(now, brings)
    if (why !== undefined) throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.files: ${why}. Nothing was written.`)
    try {
      await run()
      known = { bytes: now.bytes + brings.bytes, files: now.files + brings.files, atMs: now.atMs }
    } catch (error) {
      // It may have been done or not; the next one looks.
      known = undefined
      throw error
    }
  }

  return {
    inTurn(change) {
      const mine = turn.then(() => take(change))
      turn = mine.catch(() => {})
      return mine
    },
  }
}
