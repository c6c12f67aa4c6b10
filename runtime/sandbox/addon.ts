/** Finds the native engine's file, so that the sandbox process can load it without resolving packages itself. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { OrchestryError } from '../errors.ts'

const require = createRequire(import.meta.url)
/** Older ones let a guest take over its host (GHSA-864f-rcv7-6rh4). */
const versionFloor = [7, 0, 1] as const

export interface EngineAddon {
  readonly path: string
  readonly version: string
}

/** @throws ORC_SANDBOX_UNAVAILABLE naming the platform, or the version that is too old. */
export function findEngineAddon(): EngineAddon {
  const manifestPath = require.resolve('isolated-vm/package.json')
  const { version } = require(manifestPath) as { version: string }
  const parts = version.split('.').map(Number)
  const older = versionFloor.findIndex((floor, index) => (parts[index] ?? 0) !== floor)
  if (older !== -1 && (parts[older] ?? 0) < (versionFloor[older] ?? 0)) {
    throw new OrchestryError(
      'ORC_SANDBOX_UNAVAILABLE',
      `isolated-vm ${version} has a known escape; ${versionFloor.join('.')} or newer is needed. Run npm ci again.`,
    )
  }
  const { platform, arch, versions } = process
  const libc = platform === 'linux' ? (isGlibc() ? '.glibc' : '.musl') : ''
  const root = dirname(manifestPath)
  const candidates = [
    join(root, 'prebuilds', `${platform}-${arch}`, `isolated-vm.abi${versions.modules}${libc}.node`),
    join(root, 'out', 'isolated_vm.node'),
    join(root, 'build', 'Release', 'isolated_vm.node'),
  ]
  const path = candidates.find((candidate) => existsSync(candidate))
  if (path !== undefined) return { path, version }
  throw new OrchestryError(
    'ORC_SANDBOX_UNAVAILABLE',
    `isolated-vm ${version} has no binary for ${platform}-${arch} with Node ${versions.node}; plugins cannot run here.`,
  )
}

function isGlibc(): boolean {
  // Looking up network interfaces would take longer than everything else here.
  Object.assign(process.report, { excludeNetwork: true })
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return report.header?.glibcVersionRuntime !== undefined
}
