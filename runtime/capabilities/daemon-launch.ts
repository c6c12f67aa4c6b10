/** Starts the process of a server: verified like any command, confined like any command but for its end and its time. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { FileHandle } from 'node:fs/promises'
import { messageOf, OrchestryError } from '../errors.ts'
import type { DaemonSpec } from './daemon.ts'
import { commandEnv, commandUser, createDaemonWrapper, launchOf } from './exec-confine.ts'
import type { ProgramVerifier } from './exec-program.ts'
import type { OwnDirs } from './own-dir.ts'

export type LaunchDaemon = (spec: DaemonSpec, output: FileHandle) => Promise<ChildProcess & { readonly pid: number }>

export function createDaemonLaunch(deps: { verifier: ProgramVerifier; ownDirs: OwnDirs }): LaunchDaemon {
  const wrapperOf = createDaemonWrapper()
  return async (spec, output) => {
    const { command, path, digest, args, plugin, instance } = spec
    const { handle, realPath } = await deps.verifier.open(path, digest, plugin)
    try {
      const cwd = spec.isInOwnDir ? await deps.ownDirs.ensure(plugin, instance) : '/'
      const launch = launchOf(path, realPath, args, await wrapperOf())
      const child = spawn(launch.file, launch.args, {
        cwd,
        env: commandEnv,
        // A session of its own: what ends us or our terminal does not end it.
        detached: true,
        stdio: ['ignore', output.fd, output.fd, handle.fd],
        ...(launch.argv0 === undefined ? {} : { argv0: launch.argv0 }),
        ...commandUser(),
      })
      if (child.pid !== undefined) {
        child.on('error', () => {})
        child.unref()
        return Object.assign(child, { pid: child.pid })
      }
      const error = await new Promise((resolve) => child.once('error', resolve))
      throw new OrchestryError(
        'ORC_CAPABILITY_FAILED',
        `ctx.exec: ${command} could not be started: ${messageOf(error).slice(0, 100)}`,
      )
    } finally {
      await handle.close()
    }
  }
}
