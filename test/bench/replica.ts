/** HTTP servers in processes of their own, so that they take no time from the event loop that measures. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { replicaServer } from '../support/sample-app.ts'
import type { BenchContext } from './bench.ts'

/** Starts a script that says in its first line on which ports it listens, separated by spaces at the end of the line. */
export async function startServer(
  { after }: Pick<BenchContext, 'after'>,
  script: string,
  args: readonly string[] = [],
) {
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    env: { PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  after(() => end(child))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const ports = line.split(' ').map(Number).filter(Number.isInteger)
  const [port] = ports
  if (port === undefined) throw new Error(`${script} said no port, but: ${line}`)
  return { port, ports, pid: child.pid ?? 0, stop: () => end(child) }
}

export const startReplica = (context: Pick<BenchContext, 'after'>) => startServer(context, replicaServer)

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
