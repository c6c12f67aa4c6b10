/** Real programs that tests run: found, or installed where that is possible without asking anybody. */
import { spawnSync } from 'node:child_process'

/** Whether `command` can be run. Where it is missing and we are root with apt, its package is installed first. */
export function hasTool(command: string, aptPackage: string): boolean {
  const isThere = () => spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined
  if (isThere()) return true
  if (process.getuid?.() !== 0) return false
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '-y', '--no-install-recommends', aptPackage]
  spawnSync('apt-get', install, { stdio: 'ignore', timeout: 120_000, env })
  return isThere()
}
