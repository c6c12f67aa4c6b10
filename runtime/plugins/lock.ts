/** What is installed: one record per plugin in the store, and every bundle as a file named after its content. */
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { OrchestryError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { CompiledBundle } from './bundle.ts'
import type { LockEntry } from './plugins.ts'

export interface Lock {
  list(): Promise<LockEntry[]>
  put(entry: LockEntry): Promise<void>
  remove(id: string): Promise<void>
  /** Resolves when the text is on disk. */
  keepBundle(bundle: CompiledBundle): Promise<void>
  /** The bundle of that hash, and its source map where there is one. Throws ORC_PLUGIN_PACKAGE_INVALID when it was changed. */
  readBundle(hash: string): Promise<CompiledBundle>
  /** Deletes the files that no entry needs. */
  sweep(): Promise<void>
}

const prefix = 'plugins'

export function createLock(deps: { store: Pick<Store, 'list' | 'write'>; dataDir: string }): Lock {
  const { store } = deps
  const folder = join(deps.dataDir, 'bundles')
  const pathOf = (hash: string) => join(folder, `${hash}.js`)
  const list = async () => (await store.list<LockEntry>({ prefix: [prefix] })).map((entry) => entry.value)

  return {
    list,

    async put(entry) {
      await store.write([{ put: [prefix, entry.id], value: entry }])
    },

    async remove(id) {
      await store.write([{ delete: [prefix, id] }])
    },

    async keepBundle({ source, map, hash }) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeWhole(`${pathOf(hash)}.map`, map)
      await writeWhole(pathOf(hash), source)
    },

    async readBundle(hash) {
      const source = await readFile(pathOf(hash), 'utf8').catch(() => undefined)
      if (source === undefined || createHash('sha256').update(source).digest('hex') !== hash)
        throw new OrchestryError(
          'ORC_PLUGIN_PACKAGE_INVALID',
          `The stored bundle ${pathOf(hash)} ${source === undefined ? 'cannot be read' : 'is not what was installed'}; it ` +
            'is not run. Install the plugin again from its directory. Its config is kept.',
        )
      const map = await readFile(`${pathOf(hash)}.map`, 'utf8').catch(() => '')
      return { source, map, hash }
    },

    async sweep() {
      const hashesOf = ({ bundleHash, pending }: LockEntry) => [bundleHash, ...(pending ? [pending.bundleHash] : [])]
      const needed = new Set((await list()).flatMap(hashesOf))
      const names = await readdir(folder).catch(() => [])
      const stale = names.filter((name) => !needed.has(name.split('.')[0] ?? ''))
      await Promise.all(stale.map((name) => rm(join(folder, name), { force: true })))
    },
  }
}

/** Under another name first: a crash leaves either the old file or the whole new one. */
async function writeWhole(path: string, text: string): Promise<void> {
  const partial = `${path}.${process.pid}.${performance.now().toString(36)}`
  const file = await open(partial, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } catch (thrown) {
    await rm(partial, { force: true })
    throw thrown
  } finally {
    await file.close()
  }
  await rename(partial, path)
}
