/** Entry of the proxy process. It outlives its controller on purpose, and ends when its data directory is gone. */
import { fstat, ftruncate } from 'node:fs'
import { stat } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { limits } from '../limits.ts'
import { createLog } from '../log.ts'
import { createControlServer } from './control.ts'
import { createRotation } from './rotation.ts'
import { createProxyServer } from './server.ts'

const upkeepMs = 5_000
const signalGraceMs = 10_000

const { values } = parseArgs({
  options: { socket: { type: 'string' }, build: { type: 'string' }, 'data-dir': { type: 'string' } },
})
const { socket = '', build = '', 'data-dir': dataDir = '' } = values

// A full disk must not end traffic: what cannot be logged is not logged.
process.stderr.on('error', () => {})

const log = createLog({ level: 'info', isForPeople: true })
const clock = systemClock
const rotation = createRotation({ clock })
const proxy = createProxyServer({ rotation, clock })
let isEnding = false

async function shutdown(graceMs: number): Promise<void> {
  if (isEnding) return
  isEnding = true
  control.close()
  await proxy.drain(graceMs)
  await rotation.destroy()
  log.info({ pid: process.pid }, 'proxy ended')
  process.exit(0)
}

async function upkeep(): Promise<void> {
  fstat(2, (_error, log) => {
    if (log?.isFile() && log.size > limits.proxyLogBytes) ftruncate(2, 0, () => {})
  })
  const isOrphan = await stat(dataDir).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  )
  if (isOrphan) await shutdown(0)
}

const control = createControlServer({
  socketPath: socket,
  build,
  rotation,
  proxy,
  shutdown: (graceMs) => void shutdown(graceMs),
})
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void shutdown(signalGraceMs))
process.on('SIGHUP', () => {})
clock.every(upkeepMs, () => void upkeep())
await control.listen()
log.info({ pid: process.pid, at: new Date().toISOString(), build }, 'proxy started')
// Not only at the end, because a process that is killed writes nothing, and its successor should start in half the time.
clock.after(upkeepMs / 5, flushCompileCache)
