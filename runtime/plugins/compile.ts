/** From a directory to something that can be loaded: read, checked, compiled, in that order. */
import { readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { Manifest } from '@orchestry/sdk'
import { bundledSdkDir, bundlePlugin, type CompiledBundle } from './bundle.ts'
import { readManifest } from './manifest.ts'
import { type PluginPackage, readPackage } from './package.ts'
import type { LockEntry } from './plugins.ts'
import { hashTree } from './tree.ts'

export interface CompiledPackage {
  readonly pkg: PluginPackage
  readonly manifest: Manifest
  readonly bundle: CompiledBundle
  /** sha-256 over the SDK that went into the bundle. */
  readonly sdkHash: string
}

/** Whether what is locked was made of exactly these files by exactly this SDK. */
export function isCurrent(entry: LockEntry, pkg: PluginPackage, sdkHash: string): boolean {
  return entry.treeHash === pkg.treeHash && entry.sdkHash === sdkHash && entry.version === pkg.version
}

type Skip = (pkg: PluginPackage, sdkHash: string) => boolean

/** `skip` may say, before anything is compiled, that nothing need be; then there is no answer. */
export async function compilePackage(path: string): Promise<CompiledPackage>
export async function compilePackage(path: string, skip: Skip): Promise<CompiledPackage | undefined>
export async function compilePackage(path: string, skip?: Skip): Promise<CompiledPackage | undefined> {
  const pkg = await readPackage(path)
  const sdkHash = await hashTree(bundledSdkDir)
  if (skip?.(pkg, sdkHash) === true) return undefined
  const manifest = await readManifest(pkg)
  return { pkg, manifest, bundle: await bundlePlugin(pkg.dir, manifest.entry), sdkHash }
}

/** Every sub-directory that holds a package.json, in order of name; a folder that does not exist holds none. */
export async function findBuiltins(dirs: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const dir of dirs) {
    const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
    for (const entry of entries.sort((a, b) => a.name.localeCompare(b.name))) {
      const path = join(dir, entry.name)
      if (!entry.isDirectory()) continue
      const hasPackage = await realpath(join(path, 'package.json')).then(
        () => true,
        () => false,
      )
      if (hasPackage) found.push(path)
    }
  }
  return found
}
