/** The directory that Orchestry makes for one instance of a plugin: the plugin's files, and the place where its commands work. */
import { spawn } from 'node:child_process'
import { chmod, chown, mkdir, readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { commandEnv, commandOwner, commandUser } from './exec-confine.ts'

export interface OwnDirs {
  pathOf(plugin: string, instance: string): string
  /** Makes it where it is missing. It belongs to the user that commands run as. */
  ensure(plugin: string, instance: string): Promise<string>
  /** Removes those of a plugin with all that is in them. */
  forget(plugin: string): Promise<void>
}

const removeMs = 10_000

export function createOwnDirs(dataDir: string): OwnDirs {
  const root = join(dataDir, 'work')
  // An id is a name of npm, whose only character that means something in a path is the slash behind the scope.
  const folderOf = (plugin: string) => join(root, plugin.replaceAll('/', '+'))
  const pathOf = (plugin: string, instance: string) => join(folderOf(plugin), instance)
  return {
    pathOf,
    async ensure(plugin, instance) {
      const path = pathOf(plugin, instance)
      // Nobody else may go through these; a command is started inside, and needs no way to it.
      await mkdir(folderOf(plugin), { recursive: true, mode: 0o700 })
      const made = await mkdir(path, { mode: 0o700 }).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false
          throw error
        },
      )
      if (!made) return path
      const owner = commandOwner()
      if (owner !== undefined) await chown(path, owner, owner)
      await chmod(path, 0o700)
      return path
    },
    async forget(plugin) {
      const folder = folderOf(plugin)
      for (const instance of await readdir(folder).catch(() => [])) {
        await emptyAsCommand(join(folder, instance))
        await rmdir(join(folder, instance)).catch(() => {})
      }
      await rmdir(folder).catch(() => {})
    },
  }
}

/** With the rights of a command and no more: what one left there could lead somebody with more rights astray. */
async function emptyAsCommand(cwd: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const options = { cwd, stdio: 'ignore', env: commandEnv, timeout: removeMs, ...commandUser() } as const
    const remover = spawn('/usr/bin/find', ['.', '-mindepth', '1', '-delete'], options)
    remover.once('error', () => resolve())
    remover.once('close', () => resolve())
  })
}
