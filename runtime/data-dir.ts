/** The folder of one Orchestry: created private, owned by at most one process at a time, known by an id that stays. */
import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, OrchestryError } from './errors.ts'

export interface DataDir {
  readonly path: string
  /** Random, made once: what runs in its name belongs to this folder, whichever process serves it. */
  readonly ownerId: string
  /** Gives the folder up. Idempotent. */
  release(): Promise<void>
}

/** Which process holds the folder. The start time tells it from a later one that was given the same pid. */
interface Holder {
  readonly pid: number
  /** Boot of the machine and start of the process within it; empty where the system does not tell. */
  readonly startedAt: string
}

/**
 * Opens, or creates, the folder and takes it for this process. A holder that was killed does not hold it any more.
 *
 * @throws ORC_DATA_DIR_LOCKED with the pid of the process that has it, ORC_CONFIG_INVALID when the folder cannot be used.
 */
export async function openDataDir(path: string): Promise<DataDir> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const lock = await takeLock(path)
    let released: Promise<void> | undefined
    const release = () => (released ??= removeIfThere(lock))
    try {
      return { path, ownerId: await readOwner(path), release }
    } catch (error) {
      await release()
      throw error
    }
  } catch (error) {
    if (error instanceof OrchestryError) throw error
    throw new OrchestryError(
      'ORC_CONFIG_INVALID',
      `The data directory ${path} cannot be used: ${messageOf(error)}. It must be a folder that this user may write to.`,
      { cause: error },
    )
  }
}

const lockName = /^lock\.(\d{1,9})$/

/**
 * Locks are numbered and the highest holds. A dead one is never replaced, only overtaken by the next number, and of those who
 * try only one can create that; who finds a higher one afterwards had looked too early, and steps back.
 */
async function takeLock(path: string): Promise<string> {
  const holder: Holder = { pid: process.pid, startedAt: (await startOf(process.pid)) ?? '' }
  const claim = join(path, `claim.${process.pid}.${randomUUID()}`)
  await writeWhole(claim, JSON.stringify(holder))
  try {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const highest = (await lockNumbers(path)).at(-1)
      if (highest !== undefined) await refuseIfAlive(path, highest)
      const number = (highest ?? 0) + 1
      const lock = join(path, `lock.${number}`)
      if (!(await linkIfAbsent(claim, lock))) continue
      const numbers = await lockNumbers(path)
      if (numbers.at(-1) === number) {
        await removeLeftovers(path, number, claim)
        return lock
      }
      await removeIfThere(lock)
    }
  } finally {
    await removeIfThere(claim)
  }
  throw new OrchestryError(
    'ORC_DATA_DIR_LOCKED',
    `Other processes keep taking the data directory ${path}. Nothing was changed.`,
  )
}

async function refuseIfAlive(path: string, number: number): Promise<void> {
  const text = await readIfThere(join(path, `lock.${number}`))
  const holder = text === undefined ? undefined : parseHolder(text)
  if (holder === undefined || !(await isAlive(holder))) return
  throw new OrchestryError(
    'ORC_DATA_DIR_LOCKED',
    `The data directory ${path} is in use by process ${holder.pid}. Stop that one first, or choose another directory ` +
      '(--data-dir, ORCHESTRY_DATA_DIR). Nothing was changed.',
  )
}

async function lockNumbers(path: string): Promise<number[]> {
  const names = await readdir(path)
  return names
    .flatMap((name) => lockName.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** Overtaken locks, and claims of processes that were killed while they made them. */
async function removeLeftovers(path: string, number: number, ownClaim: string): Promise<void> {
  for (const name of await readdir(path)) {
    const overtaken = lockName.exec(name)?.[1]
    const isOvertaken = overtaken !== undefined && Number(overtaken) < number
    const claimant = /^claim\.(\d+)\./.exec(name)?.[1]
    const isAbandoned = claimant !== undefined && join(path, name) !== ownClaim && !isPidAlive(Number(claimant))
    if (isOvertaken || isAbandoned) await removeIfThere(join(path, name))
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, startedAt } = JSON.parse(text) as Partial<Holder>
    return Number.isInteger(pid) && typeof startedAt === 'string' ? { pid: Number(pid), startedAt } : undefined
  } catch {
    return undefined
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (!isPidAlive(holder.pid)) return false
  const startedAt = await startOf(holder.pid)
  return startedAt === undefined || holder.startedAt === '' || startedAt === holder.startedAt
}

function isPidAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Undefined where there is no /proc, or no such process in it. A zombie counts as gone: it holds nothing any more. */
async function startOf(pid: number): Promise<string | undefined> {
  const files = [`/proc/${pid}/stat`, '/proc/sys/kernel/random/boot_id']
  const [stat, boot] = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => undefined)))
  if (stat === undefined || boot === undefined) return undefined
  // The name, in parentheses, may hold anything; what follows are plain fields: state first, start time as the twentieth.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : `${boot.trim()} ${fields[19]}`
}

const ownerForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

async function readOwner(path: string): Promise<string> {
  const file = join(path, 'owner')
  const present = (await readIfThere(file))?.trim()
  if (present === undefined) {
    const ownerId = randomUUID()
    await writeWhole(`${file}.new`, `${ownerId}\n`)
    await rename(`${file}.new`, file)
    return ownerId
  }
  if (ownerForm.test(present)) return present
  throw new OrchestryError(
    'ORC_STORE_CORRUPT',
    `The file ${file} does not hold the id of this data directory. Put it back from a backup; or delete it, and replicas ` +
      'that were started under the old id are not recognised any more. Nothing was changed.',
  )
}

async function writeWhole(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

async function removeIfThere(file: string): Promise<void> {
  try {
    await unlink(file)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
