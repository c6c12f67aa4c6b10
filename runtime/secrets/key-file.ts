/** The key of all stored secrets: a file of its own beside the store, so that a copy of the store alone tells nothing. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, OrchestryError } from '../errors.ts'

const keyBytes = 32

/**
 * Undefined where there is no file. What is checked is the file that was opened, not its name.
 *
 * @throws ORC_SECRET_KEY_UNUSABLE for one that others can read, that is not ours, or that is not a key.
 */
export async function readKey(path: string): Promise<Buffer | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw unusable(path, 'is a symbolic link', 'Put the file itself there')
    throw unusable(path, `cannot be read (${messageOf(thrown)})`, 'Let the user that runs Orchestry read it', thrown)
  }
  try {
    const stat = await file.stat()
    const { size, mode, uid } = stat
    if (!stat.isFile()) throw unusable(path, 'is not a file', 'Put the key back from a backup')
    if (process.getuid !== undefined && uid !== process.getuid())
      throw unusable(path, `belongs to another user (uid ${uid})`, 'Give it to the user that runs Orchestry: chown')
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw unusable(
        path,
        `can be used by others (its mode is ${(mode & 0o777).toString(8)}, not 600)`,
        'If nobody else can have read it: chmod 600. If somebody may have, change what the secrets open',
      )
    if (size !== keyBytes)
      throw unusable(path, `has ${size} bytes, not ${keyBytes}`, 'Put it back from a backup, byte for byte')
    const key = Buffer.alloc(keyBytes)
    const { bytesRead } = await file.read(key, 0, keyBytes, 0)
    if (bytesRead !== keyBytes) throw unusable(path, 'was changed while it was read', 'Try again')
    return key
  } finally {
    await file.close()
  }
}

/** Under another name first: a crash in between leaves no half a key. */
export async function createKey(path: string): Promise<Buffer> {
  const key = randomBytes(keyBytes)
  try {
    const file = await open(`${path}.new`, 'w', 0o600)
    try {
      await file.chmod(0o600)
      await file.writeFile(key)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
    const directory = await open(dirname(path), 'r')
    // Not every file system can do this; the values that the key seals are not there yet.
    await directory.sync().catch(() => undefined)
    await directory.close()
  } catch (thrown) {
    throw unusable(path, `cannot be written (${messageOf(thrown)})`, 'See to the data directory', thrown)
  }
  return key
}

export function unusable(path: string, what: string, remedy: string, cause?: unknown): OrchestryError {
  return new OrchestryError(
    'ORC_SECRET_KEY_UNUSABLE',
    `The key of the stored secrets, ${path}, ${what}. ${remedy}. Nothing was lost: the secrets are kept as they were.`,
    { cause },
  )
}
