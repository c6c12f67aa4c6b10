/** `npm ci` refuses a lock file that does not know what stands in the package.json of every workspace. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { test } from 'node:test'
import { root } from '../support/source-tree.ts'

type Manifest = Partial<Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Record<string, string>>> & {
  name: string
  workspaces?: string[]
}
const read = <T>(path: string) => JSON.parse(readFileSync(join(root, path), 'utf8')) as T
const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'] as const

const lock = read<{ packages: Record<string, Manifest & { resolved?: string; link?: boolean }> }>('package-lock.json')
const top = read<Manifest>('package.json')
const folders = (top.workspaces ?? [])
  .flatMap((pattern) => globSync(`${pattern}/package.json`, { cwd: root }))
  .map((path) => dirname(path).split(sep).join('/'))

for (const folder of ['', ...folders])
  test(`the lock file knows ${folder === '' ? 'the workspace' : folder} as it is`, () => {
    const manifest = read<Manifest>(join(folder, 'package.json'))
    const locked = lock.packages[folder]
    assert.ok(locked, `${folder} is missing: run npm install`)
    if (folder !== '') assert.equal(lock.packages[`node_modules/${manifest.name}`]?.resolved, folder)
    for (const kind of kinds) assert.deepEqual(locked[kind] ?? {}, manifest[kind] ?? {}, kind)
  })
