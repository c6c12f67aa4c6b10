/** Real process drivers on a folder of their own, for tests: everything they leave is killed by its mark and removed. */
import type { TestContext } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import type { Driver, StartRequest } from '../../runtime/drivers/driver.ts'
import { createProcFs } from '../../runtime/drivers/proc-fs.ts'
import { createProcessDriver } from '../../runtime/drivers/process.ts'
import { markedBy } from '../../runtime/drivers/process-table.ts'
import { createLog } from '../../runtime/log.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'

export interface ProcessHarness {
  readonly dataDir: string
  readonly ownerId: string
  open(): Driver
  /** pids that carry the owner's mark, whoever started them. */
  pids(): Promise<number[]>
  dispose(): Promise<void>
}

/** A harness for one test, with a driver that is closed after it. */
export async function openDriver(test: Pick<TestContext, 'after'>): Promise<ProcessHarness & { driver: Driver }> {
  const machine = await processHarness()
  const driver = machine.open()
  test.after(async () => {
    await driver.close({ keep: false })
    await machine.dispose()
  })
  return { ...machine, driver }
}

export async function processHarness(): Promise<ProcessHarness> {
  const dataDir = await tempDir()
  const ownerId = `test-${process.pid}-${Math.random().toString(36).slice(2)}`
  const pids = async () =>
    [...(await markedBy(createProcFs(), ownerId)).values()].flat().map(({ process: { pid } }) => pid)
  return {
    dataDir,
    ownerId,
    open: () => createProcessDriver({ dataDir, ownerId, clock: systemClock, log: createLog({ level: 'silent' }) }),
    pids,
    dispose: async () => {
      for (const pid of await pids()) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It ended in between.
        }
      }
      await removeDir(dataDir)
    },
  }
}

export function request(id: string, command: readonly string[], more: Partial<StartRequest> = {}): StartRequest {
  return { id, app: 'shop', version: 'v1', command, env: {}, envFields: {}, ...more }
}

/** Alive for the system; a zombie is not. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await createProcFs().get(pid))?.isAlive === true
}
