/** A real guest that was granted commands, with programs that anybody on the machine may run. */
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createExecCapability } from '../../runtime/capabilities/exec.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from './hostile-guest.ts'

export type Command = GrantOf<'exec'>['commands'][number]

/** Pinned first, as consent does it. */
export async function openExecGuest(
  t: TestContext,
  { commands, body, timeoutMs }: { commands: readonly Command[]; body: string; timeoutMs?: number },
) {
  const capability = createExecCapability({ clock: systemClock, reserved: [] })
  const grant = await createCapabilities([capability]).pin({ kind: 'exec', why: 'test', commands: [...commands] })
  return await openHostileGuest(t, { capability, grant, body, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
}

/** Writes a script into a folder that user nobody may enter. */
export async function writeScript(dir: string, name: string, text: string): Promise<string> {
  const path = join(dir, name)
  await chmod(dir, 0o755)
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
  return path
}
