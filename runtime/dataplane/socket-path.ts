/** Where the control socket of a data directory lies. */
import { createHash } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OrchestryError } from '../errors.ts'

/** The kernel keeps 104 (macOS) or 108 bytes for the name, one of them a zero. */
const longestSocketPath = 103

/**
 * Beside the data where that is short enough; else under a hash of it in a folder of ours among the temporary files.
 * @throws ORC_DATAPLANE_UNAVAILABLE when that folder is not ours alone: whoever owns it could steer the traffic.
 */
export async function controlSocketPath(dataDir: string): Promise<string> {
  const beside = join(dataDir, 'proxy.sock')
  if (Buffer.byteLength(beside) <= longestSocketPath) return beside
  const uid = process.getuid?.() ?? 0
  const folder = join(tmpdir(), `orchestry-${uid}`)
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(folder)
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0)
    throw new OrchestryError(
      'ORC_DATAPLANE_UNAVAILABLE',
      `${folder} must be a folder of user ${uid} that nobody else can enter (mode 0700), and it is not. ` +
        'Remove it, or choose a data directory with a shorter path. Nothing was started.',
    )
  return join(folder, `${createHash('sha256').update(dataDir).digest('hex').slice(0, 24)}.sock`)
}
