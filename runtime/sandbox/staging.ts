/** Puts the files of a sandbox process where another user can read them. */
import { chmod, copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { ProcessProgram } from './confinement.ts'
import { closedToOthers } from './machine.ts'

export interface Staged {
  readonly program: ProcessProgram
  remove(): Promise<void>
}

const prefix = 'orchestry-sandbox-'

/** Copies only what is closed to others. The folder belongs to us, so that nobody else can put anything into it. */
export async function stageForOthers(program: ProcessProgram, directory = tmpdir()): Promise<Staged> {
  const files = [program.path, program.addon]
  if (files.every((file) => closedToOthers(file) === undefined)) return { program, remove: async () => {} }
  await sweep(directory)
  const folder = await mkdtemp(join(directory, `${prefix}${process.pid}-`))
  const copied = files.map((file) => join(folder, basename(file)))
  await chmod(folder, 0o755)
  for (const [index, file] of files.entries()) {
    await copyFile(file, copied[index] as string)
    await chmod(copied[index] as string, 0o644)
  }
  return {
    program: { path: copied[0] as string, addon: copied[1] as string },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Of Orchestries that ended without tidying up. */
async function sweep(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    await rm(join(directory, name), { recursive: true, force: true }).catch(() => {})
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return (thrown as { code?: string }).code === 'EPERM'
  }
}
