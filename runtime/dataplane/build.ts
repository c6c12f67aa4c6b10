/** Says whether a proxy process that was found running is of the same code as we are. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'

/** Hash over the files of this room and the Node that runs them: another text is another build, also while developing. */
export async function buildVersion(): Promise<string> {
  const extension = extname(import.meta.filename)
  const names = (await readdir(import.meta.dirname)).filter((name) => extname(name) === extension).sort()
  const hash = createHash('sha256').update(process.version)
  for (const name of names) hash.update(name).update(await readFile(join(import.meta.dirname, name)))
  return hash.digest('hex').slice(0, 16)
}
