/** Walks the files of a package: bounded, never outside of it, and hashed so that any change shows. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink, realpath } from 'node:fs/promises'
import { isAbsolute, join, relative, sep } from 'node:path'
import { OrchestryError } from '../errors.ts'

const bounds = { files: 5_000, bytes: 64 * 1024 * 1024, depth: 32 }
/** What a package manager or git puts there is not the package. Dependencies are in the hash of the bundle instead. */
const skipped = new Set(['node_modules', '.git'])

const refuse = (detail: string) =>
  new OrchestryError('ORC_PLUGIN_PACKAGE_INVALID', `${detail} Nothing was installed or changed.`)

/** Whether `path` is `dir` or inside it; both must be real paths. */
export function isInside(dir: string, path: string): boolean {
  const way = relative(dir, path)
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way))
}

/**
 * sha-256 over names, kinds and contents of all files under `dir` (a real path), in hex.
 * @throws ORC_PLUGIN_PACKAGE_INVALID for a link that leaves the directory, a file that is none, or too much of anything.
 */
export async function hashTree(dir: string): Promise<string> {
  const hash = createHash('sha256')
  let files = 0
  let bytes = 0
  const visit = async (folder: string, depth: number): Promise<void> => {
    if (depth > bounds.depth) throw refuse(`${relative(dir, folder)} is nested deeper than ${bounds.depth} folders.`)
    const entries = await readdir(folder)
    for (const name of entries.sort()) {
      if (skipped.has(name)) continue
      const path = join(folder, name)
      const shown = relative(dir, path).split(sep).join('/')
      files += 1
      if (files > bounds.files) throw refuse(`The package has more than ${bounds.files} files.`)
      const stat = await lstat(path)
      if (stat.isSymbolicLink()) hash.update(`link\0${shown}\0${await linkTarget(dir, path, shown)}\0`)
      else if (stat.isDirectory()) await visit(path, depth + 1)
      else if (stat.isFile()) {
        hash.update(`file\0${shown}\0${stat.size}\0`)
        for await (const chunk of createReadStream(path)) {
          bytes += (chunk as Buffer).length
          if (bytes > bounds.bytes) throw refuse(`The package is larger than ${bounds.bytes / 1024 / 1024} MB.`)
          hash.update(chunk as Buffer)
        }
      } else throw refuse(`${shown} is neither a file nor a folder.`)
    }
  }
  await visit(dir, 0)
  return hash.digest('hex')
}

async function linkTarget(dir: string, path: string, shown: string): Promise<string> {
  const target = await realpath(path).catch(() => undefined)
  if (target === undefined) throw refuse(`The link ${shown} leads nowhere.`)
  if (!isInside(dir, target)) throw refuse(`The link ${shown} leaves the package; copy the file into it.`)
  return await readlink(path)
}
