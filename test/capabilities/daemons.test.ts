/** Servers that plugins leave running, and the directory they work in, with real processes. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { CapabilityRecord, DaemonStatus, Manifest } from '@orchestry/sdk'
import { combinationProblems } from '../../runtime/capabilities/combinations.ts'
import { createDaemons } from '../../runtime/capabilities/daemons.ts'
import { createExecCapability } from '../../runtime/capabilities/exec.ts'
import { createFilesCapability } from '../../runtime/capabilities/files.ts'
import { createOwnDirs } from '../../runtime/capabilities/own-dir.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { createTimersCapability } from '../../runtime/capabilities/timers.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createLog } from '../../runtime/log.ts'
import { askedOf } from '../../runtime/plugins/consent.ts'
import { bindAs } from '../support/bound.ts'
import { isAlive } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const onLinux = { skip: process.platform === 'linux' ? false : 'servers of plugins are kept on Linux only' }
const caller = { plugin: '@acme/p', instance: 'p' }
const name = { ...caller, command: 'serve' }
const log = createLog({ level: 'silent' })
type Command = Extract<CapabilityRecord, { kind: 'exec' }>['commands'][number]

/** Waits for signals for ever, in one process and a child. */
const server = 'echo started; trap "exit 0" TERM; trap "echo hup" HUP; sleep 1000 & while :; do wait; done'

async function make(t: TestContext, text = server, more: Partial<Command> = {}) {
  const dataDir = await tempDir(t)
  const dir = await tempDir(t)
  const path = join(dir, 'tool')
  await chmod(dir, 0o755)
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
  const ownDirs = createOwnDirs(dataDir)
  const open = () => {
    const daemons = createDaemons({ dataDir, ownDirs, clock: systemClock, log })
    t.after(() => daemons.close({ keep: false }))
    const machine = { clock: systemClock, reserved: [dataDir], ownDirs, daemons }
    const exec = createExecCapability(machine)
    return { daemons, exec, files: createFilesCapability(machine) }
  }
  const world = open()
  const command = (daemon: Command): Command => ({ workingDir: '${instance.dir}', ...daemon })
  const commands: Command[] = [
    command({ name: 'serve', path, args: ['{n:int}'], daemon: { signals: ['HUP'], stopMs: 1_000 }, ...more }),
    command({ name: 'once', path }),
  ]
  const record: CapabilityRecord = { kind: 'exec', why: 'test', commands }
  const grant = await createCapabilities([world.exec]).pin(record)
  const { call, violations, bound } = bindAs(world.exec, grant, caller)
  return {
    ...world,
    dataDir,
    ownDirs,
    open,
    grant,
    violations,
    bound,
    start: (n = 1) => call('exec.start', 'serve', { n }) as Promise<DaemonStatus>,
    status: () => call('exec.status', 'serve') as Promise<DaemonStatus>,
    call,
  }
}

test('it is started once, tells how it is, takes granted signals and ends when asked', onLinux, async (t) => {
  const { start, status, call } = await make(t)
  const first = await start()
  assert.ok(first.isRunning && first.pid !== undefined)
  assert.equal((await start()).pid, first.pid, 'started again it is the same')
  const running = await waitFor(async () => ((await status()).processes === 2 ? status() : undefined))
  assert.deepEqual([running.restarts, running.output], [0, 'started\n'])
  await call('exec.signal', 'serve', 'HUP')
  await waitFor(async () => (await status()).output.includes('hup'))
  await assert.rejects(call('exec.signal', 'serve', 'TERM'), { code: 'ORC_CAPABILITY_DENIED', message: /HUP/ })
  const other = await start(2)
  assert.notEqual(other.pid, first.pid, 'with other arguments it is another')
  assert.ok(!isAlive(first.pid))
  await call('exec.stop', 'serve')
  await call('exec.stop', 'serve')
  assert.ok(!isAlive(other.pid ?? 0))
  assert.deepEqual([(await status()).isRunning, (await status()).processes], [false, 0])
  await assert.rejects(call('exec.signal', 'serve', 'HUP'), { code: 'ORC_CAPABILITY_FAILED' })
})

test('a command and a server are not taken for one another', onLinux, async (t) => {
  const { call, violations } = await make(t)
  await assert.rejects(call('exec.run', 'serve', { n: 1 }), {
    code: 'ORC_CAPABILITY_DENIED',
    message: /ctx\.exec\.start/,
  })
  await assert.rejects(call('exec.start', 'once'), { code: 'ORC_CAPABILITY_DENIED', message: /ctx\.exec\.run/ })
  await assert.rejects(call('exec.stop', 'nothing'), { code: 'ORC_CAPABILITY_DENIED' })
  await assert.rejects(call('exec.start', 'serve', { n: '1;id' }), { code: 'ORC_CAPABILITY_ARGUMENT' })
  assert.equal(violations.length, 3)
})

test('one that ends by itself comes back later and later, and how it ended is told', onLinux, async (t) => {
  const { start, status, call } = await make(t, 'echo "in vain"; exit 3')
  await start()
  const died = await waitFor(async () => {
    const found = await status()
    return found.restarts > 1 && found.exit !== undefined ? found : undefined
  })
  assert.deepEqual([died.exit?.code, died.exit?.signal, died.isRunning], [3, null, false])
  assert.match(died.output, /in vain/)
  await call('exec.stop', 'serve')
  const { restarts } = await status()
  await new Promise((resolve) => setTimeout(resolve, 700))
  assert.equal((await status()).restarts, restarts, 'stopped, it stays so')
})

test('one that will not end is killed, with all that it started', onLinux, async (t) => {
  const { start, call } = await make(t, 'trap "" TERM; (trap "" TERM; sleep 1000) & while :; do wait; done')
  const { pid } = await start()
  await call('exec.stop', 'serve')
  assert.ok(!isAlive(pid ?? 0))
  await waitFor(async () => {
    const all = await readdir('/proc')
    const stats = await Promise.all(all.map((entry) => readFile(`/proc/${entry}/stat`, 'latin1').catch(() => '')))
    return stats.every((text) => text.slice(text.lastIndexOf(')') + 2).split(' ')[3] !== String(pid))
  })
})

test('left by one Orchestry it belongs to the next, which brings back what died meanwhile', onLinux, async (t) => {
  const { daemons, start, open, dataDir } = await make(t)
  const { pid } = await start()
  await daemons.close({ keep: true })
  assert.ok(isAlive(pid ?? 0))
  const second = open().daemons
  await second.adopt()
  assert.equal((await second.status(name)).pid, pid)
  await second.close({ keep: true })
  process.kill(-(pid ?? 0), 'SIGKILL')
  await waitFor(() => !isAlive(pid ?? 0))
  const third = open().daemons
  await third.adopt()
  const back = await waitFor(async () => {
    const now = await third.status(name)
    return now.isRunning ? now : undefined
  })
  assert.notEqual(back.pid, pid)
  await third.close({ keep: false })
  assert.ok(!isAlive(back.pid ?? 0))
  assert.deepEqual(await readdir(join(dataDir, 'daemons')), [])
})

test('what was started in the moment before a kill, and not written down, is ended', onLinux, async (t) => {
  const { daemons, start, open, dataDir } = await make(t)
  const { pid } = await start()
  await daemons.close({ keep: true })
  const file = join(dataDir, 'daemons', 'p.serve.json')
  const {
    pid: _pid,
    startOf: _startOf,
    ...before
  } = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
  await writeFile(file, JSON.stringify(before))
  const next = open().daemons
  await next.adopt()
  assert.ok(!isAlive(pid ?? 0))
  await waitFor(async () => (await next.status(name)).isRunning)
})

test('nobody is taken for it whose number it once had', onLinux, async (t) => {
  const { daemons, start, open, dataDir } = await make(t)
  await start()
  await daemons.close({ keep: false })
  await mkdir(join(dataDir, 'daemons'), { recursive: true })
  const spec = {
    ...name,
    path: '/bin/none',
    digest: 'x',
    args: [],
    isInOwnDir: true,
    stopSignal: 'SIGTERM',
    stopMs: 500,
  }
  const record = { spec, pid: process.ppid, startOf: 'another boot 1', startedAtMs: 1 }
  await writeFile(join(dataDir, 'daemons', 'p.serve.json'), JSON.stringify(record))
  const next = open().daemons
  await next.adopt()
  await assert.rejects(next.signal(name, 'SIGHUP'), { code: 'ORC_CAPABILITY_FAILED' })
  await next.stop(name)
  assert.ok(isAlive(process.ppid))
})

test('what is not granted any more ends; an upgrade with the same grant does not disturb it', onLinux, async (t) => {
  const { exec, start, grant, bound, status } = await make(t)
  const { pid } = await start()
  const table = createCapabilities([exec])
  await table.retain([{ ...caller, grants: [grant] }])
  bound.reset()
  assert.equal((await status()).pid, pid)
  bound.dispose()
  assert.ok(isAlive(pid ?? 0), 'the plugin instance ended, it did not')
  await table.retain([{ ...caller, instance: 'other', grants: [grant] }])
  assert.ok(!isAlive(pid ?? 0))
})

test(
  'C37: it is confined like a command, and can have many files open and not one that fills the disk',
  onLinux,
  async (t) => {
    const { start, status } = await make(
      t,
      'grep -E "^(Max|NoNewPrivs|Uid|SigIgn)" /proc/self/limits /proc/self/status; env; sleep 1000',
    )
    await start()
    const { output } = await waitFor(async () => ((await status()).output.includes('TZ=') ? status() : undefined))
    assert.match(output, /Max file size +67108864/)
    assert.match(output, /Max core file size +0/)
    assert.match(output, /NoNewPrivs:\s+1/)
    assert.ok(Number(/Max open files +(\d+)/.exec(output)?.[1]) > 1_000)
    assert.ok(
      (Number.parseInt(/SigIgn:\s+([0-9a-f]+)/.exec(output)?.[1] ?? '0', 16) & (1 << 24)) !== 0,
      'XFSZ is ignored',
    )
    assert.doesNotMatch(output, /HOME|ORCHESTRY/)
    if (process.getuid?.() === 0) assert.match(output, /Uid:\s+65534/)
  },
)

test(
  'the directory of an instance: the plugin writes, its commands read and write, nobody else goes there',
  onLinux,
  async (t) => {
    const { files, call, ownDirs, dataDir } = await make(t, 'cat told.conf; echo done > answer.txt; pwd')
    const roots = [{ name: 'own', path: '${instance.dir}', read: ['*'], write: ['*.conf'] }]
    const guest = bindAs(files, { kind: 'files', why: 'test', roots }, caller)
    await guest.call('files.write', 'own', 'told.conf', 'what it is told')
    const { stdout, code } = (await call('exec.run', 'once')) as { stdout: string; code: number }
    assert.equal(code, 0)
    assert.match(stdout, /^what it is told/)
    assert.equal(await guest.call('files.read', 'own', 'answer.txt'), 'done\n')
    await assert.rejects(guest.call('files.write', 'own', 'answer.txt', 'x'), { code: 'ORC_CAPABILITY_DENIED' })
    await assert.rejects(guest.call('files.read', 'own', '../../x'), { code: 'ORC_CAPABILITY_DENIED' })
    const path = ownDirs.pathOf(caller.plugin, caller.instance)
    assert.equal((await stat(path)).mode & 0o777, 0o700)
    assert.equal((await stat(join(dataDir, 'work'))).mode & 0o777, 0o700)
    assert.equal((await stat(join(path, 'told.conf'))).mode & 0o777, process.getuid?.() === 0 ? 0o640 : 0o600)
    await ownDirs.forget(caller.plugin)
    await assert.rejects(stat(path), { code: 'ENOENT' })
  },
)

test('the data directory stays closed, and so does a directory of somebody else', onLinux, async (t) => {
  const { files, dataDir, ownDirs } = await make(t)
  const other = await ownDirs.ensure('@acme/other', 'other')
  for (const path of [dataDir, join(dataDir, 'work'), other, '${instance.dir}/..', '${instance.dir}/x']) {
    const roots = [{ name: 'own', path, read: ['*'] }]
    assert.notDeepEqual(files.check?.({ kind: 'files', why: 'x', roots }), [], path)
  }
})

test('together: no interpreter works where the plugin writes', () => {
  const files: CapabilityRecord = {
    kind: 'files',
    why: 'x',
    roots: [{ name: 'own', path: '${instance.dir}', write: ['*'] }],
  }
  const exec = (path: string, workingDir?: '${instance.dir}'): CapabilityRecord => ({
    kind: 'exec',
    why: 'x',
    commands: [{ name: 'go', path, args: ['main'], ...(workingDir === undefined ? {} : { workingDir }) }],
  })
  assert.match(combinationProblems([files, exec('/usr/bin/python3', '${instance.dir}')]).join(), /interpreter/)
  assert.deepEqual(combinationProblems([files, exec('/usr/sbin/nginx', '${instance.dir}')]), [])
  assert.deepEqual(combinationProblems([files, exec('/usr/bin/python3')]), [])
})

test('what it means is said before it is agreed to', () => {
  const commands: Command[] = [{ name: 'serve', path: '/usr/sbin/x', workingDir: '${instance.dir}', daemon: {} }]
  const capabilities = [{ kind: 'exec', why: 'serves', commands }]
  const [asked] = askedOf({ manifest: 1, engine: '*', entry: 'x.js', capabilities } as unknown as Manifest)
  assert.match(asked?.message ?? '', /leaves running, until it is disabled: serve/)
  assert.match(asked?.message ?? '', /its own directory, these read: serve/)
})

test('without somebody to keep them, or a directory, neither is granted', () => {
  const bare = createExecCapability({ clock: systemClock, reserved: [] })
  const commands: Command[] = [{ name: 'serve', path: '/usr/sbin/x', workingDir: '${instance.dir}', daemon: {} }]
  assert.equal(bare.check?.({ kind: 'exec', why: 'x', commands }).length, 2)
})

test('a plugin may wait inside its call, and never longer than that lasts', async () => {
  const { callWith, bound } = bindAs(createTimersCapability({ clock: systemClock }), { kind: 'timers' })
  const startedMs = performance.now()
  await callWith({ timeoutMs: 5_000 }, 'timers.sleep', 60)
  assert.ok(performance.now() - startedMs >= 58)
  await callWith({ timeoutMs: 120 }, 'timers.sleep', 60_000)
  assert.ok(performance.now() - startedMs < 2_000)
  const sleeping = callWith({ timeoutMs: 60_000 }, 'timers.sleep', 60_000)
  bound.dispose()
  await sleeping
})
