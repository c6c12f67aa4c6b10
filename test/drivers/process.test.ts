import { readFileSync } from 'node:fs'
import type { Instance } from '../../runtime/drivers/driver.ts'
import { parseStat } from '../../runtime/drivers/proc-fs.ts'
import { driverConformance } from '../conformance/driver.ts'
import { waitFor } from '../support/wait-for.ts'
import { processHarness } from './process-harness.ts'

const isThere = ({ pid }: Instance) => {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'), { msPerTick: 10, pageBytes: 4096 })?.isAlive === true
  } catch {
    return false
  }
}

driverConformance('process', async () => {
  const machine = await processHarness()
  return {
    open: machine.open,
    replica: { command: ['sh', '-c', 'echo hello; while :; do sleep 0.05; done'] },
    deafen: async (driver, asked) => {
      const instance = await driver.start({ ...asked, command: ['sh', '-c', 'trap "" TERM; echo deaf; sleep 60'] })
      await waitFor(async () => (await driver.logs(asked.id, { lines: 1 })).length > 0)
      return instance
    },
    startBroken: (driver, asked) => driver.start({ ...asked, command: ['no-such-program'] }),
    crash: ({ pid = 0 }) => {
      process.kill(pid, 'SIGKILL')
    },
    isThere,
    dispose: machine.dispose,
  }
})
