/** Servers of plugins that would outlive their end, and numbers of processes that became a stranger's; with real processes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DaemonSpec } from '../../runtime/capabilities/daemon.ts'
import { createDaemons } from '../../runtime/capabilities/daemons.ts'
import { createOwnDirs } from '../../runtime/capabilities/own-dir.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createLog } from '../../runtime/log.ts'
import { isAlive } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const onLinux = { skip: process.platform === 'linux' ? false : 'servers of plugins are kept on Linux only' }
const log = createLog({ level: 'silent' })

async function make(t: TestContext, text: string) {
  const dataDir = await tempDir(t)
  const dir = await tempDir(t)
  await chmod(dir, 0o755)
  const path = join(dir, 'tool')
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
  const digest = createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
  const ownDirs = createOwnDirs(dataDir)
  const daemons = createDaemons({ dataDir, ownDirs, clock: systemClock, log })
  t.after(() => daemons.close({ keep: false }))
  const name = { plugin: '@acme/p', instance: 'p', command: 'serve' }
  const spec: DaemonSpec = { ...name, path, digest, args: [], isInOwnDir: true, stopSignal: 'SIGTERM', stopMs: 200 }
  return { daemons, spec, dataDir, own: () => ownDirs.ensure(spec.plugin, spec.instance) }
}

/** Leads a session of its own, as a login does. */
function stranger(t: TestContext, user: object = {}): number {
  const child = spawn('/bin/sleep', ['1000'], { detached: true, stdio: 'ignore', ...user })
  t.after(() => child.kill('SIGKILL'))
  return child.pid ?? 0
}

test('a session whose number is a stranger\u2019s by now is left alone, after a boot too', onLinux, async (t) => {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'latin1')).trim()
  const asCommand = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
  for (const startOf of [`${boot} 1`, 'an earlier boot 1']) {
    const { daemons, spec, dataDir } = await make(t, 'exec sleep 1000')
    const pids = [stranger(t), stranger(t, asCommand)]
    await mkdir(join(dataDir, 'daemons'), { mode: 0o700 })
    for (const [at, pid] of pids.entries()) {
      const record = { spec: { ...spec, command: `c${at}` }, pid, startOf, startedAtMs: 1 }
      await writeFile(join(dataDir, 'daemons', `p.c${at}.json`), JSON.stringify(record))
    }
    await daemons.adopt()
    for (const at of pids.keys())
      await waitFor(async () => (await daemons.status({ ...spec, command: `c${at}` })).isRunning)
    await daemons.retain(() => false)
    assert.deepEqual(pids.map(isAlive), [true, true])
  }
})

test('what left its session ends with the plugin, by the directory that it works in', onLinux, async (t) => {
  const away = 'trap "" TERM; (cd /tmp; exec sleep 1000) & echo $$ $! > stray; while :; do wait; done'
  const text = `setsid sh -c '${away}' &\nexec sleep 1000`
  const { daemons, spec, own } = await make(t, text)
  await daemons.start(spec)
  const dir = await own()
  const strays = await waitFor(async () => {
    const found = (await readFile(join(dir, 'stray'), 'utf8').catch(() => '')).trim().split(' ').map(Number)
    return found.length === 2 ? found : undefined
  })
  assert.deepEqual(strays.map(isAlive), [true, true])
  await daemons.retain(() => false)
  await waitFor(() => !strays.some(isAlive))
})

test('one that cannot be written down does not run on unknown', onLinux, async (t) => {
  const { daemons, spec, dataDir, own } = await make(t, 'echo $$ > pid; exec sleep 1000')
  const dir = await own()
  const records = join(dataDir, 'daemons')
  const record = join(records, 'p.serve.json')
  /** Between the first writing down and the second one the disk becomes full, or this; a start may be quicker. */
  const spoil = async () => {
    await waitFor(async () => (await readdir(records).catch((): string[] => [])).includes('p.serve.log'))
    await rm(record)
    await mkdir(join(record, 'x'), { recursive: true })
  }
  const isRefused = async () => {
    const spoiling = spoil().catch(() => undefined)
    const outcome = await daemons.start(spec).then(
      () => 'started',
      () => 'refused',
    )
    await spoiling
    if (outcome === 'refused') return true
    await rm(record, { recursive: true, force: true })
    await daemons.stop(spec)
    await rm(join(records, 'p.serve.log'), { force: true })
    return false
  }
  await waitFor(isRefused, { timeoutMs: 30_000, what: 'a start whose record cannot be written' })
  // Who was not killed before it could say its number says it now.
  await systemClock.sleep(300)
  const pid = Number(await readFile(join(dir, 'pid'), 'utf8').catch(() => '0'))
  assert.ok(pid === 0 || !isAlive(pid))
})
