/** Folders of a test: made under the system's temporary folder, removed when the test ends. */
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/**
 * Makes an empty folder and returns its real path. Its name holds a space, because paths of users do.
 * Given the test, it is removed after it; without, whoever made it calls `removeDir`.
 */
export async function tempDir(test?: Pick<TestContext, 'after'>): Promise<string> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'orchestry test-')))
  test?.after(() => removeDir(dir))
  return dir
}

/** Removes the folder and all in it. Retries, because a dying process may still write there. */
export async function removeDir(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}
