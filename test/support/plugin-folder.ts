/** Plugin packages for tests: real folders with real files. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface PluginFolder {
  readonly name?: string
  readonly version?: string
  readonly manifest?: Readonly<Record<string, unknown>>
  /** Text of `plugin.ts`. */
  readonly code?: string
  readonly files?: Readonly<Record<string, string>>
}

export const goodManifest = { manifest: 1, engine: '>=1.0 <2', entry: 'plugin.ts' }

/** A scaler that always wants as many replicas as its config says; 3 when it says nothing. */
export const fixedScaler = `
import { definePlugin, Type } from '@orchestry/sdk'
export default definePlugin({
  config: Type.Object({ replicas: Type.Integer({ minimum: 1, default: 3 }) }, { additionalProperties: false }),
  scaler: { decide: ({ config }) => ({ replicas: config.replicas, reason: 'as configured' }) },
})
`

/** Writes the package into `dir`, making it where needed, and returns `dir`. */
export async function writePlugin(dir: string, folder: PluginFolder = {}): Promise<string> {
  const { name = '@test/fixed', version = '1.0.0', manifest = {}, code = fixedScaler, files = {} } = folder
  const packageJson = { name, version, type: 'module', orchestry: { ...goodManifest, ...manifest } }
  const all = { 'package.json': JSON.stringify(packageJson), 'plugin.ts': code, ...files }
  for (const [path, text] of Object.entries(all)) {
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), text)
  }
  return dir
}
