import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Instance } from '../../runtime/drivers/driver.ts'
import { replicaCommand } from '../support/sample-app.ts'
import { waitFor } from '../support/wait-for.ts'
import { isAlive, openDriver, type ProcessHarness, request } from './process-harness.ts'

const controllerPath = fileURLToPath(new URL('controller.ts', import.meta.url))

/** A controller in a process of its own, with its replicas running. */
async function startController(test: TestContext, machine: ProcessHarness, ids: readonly string[]) {
  const args = ['--conditions=@orchestry/source', controllerPath, machine.dataDir, machine.ownerId, ...ids]
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  test.after(() => child.kill('SIGKILL'))
  assert.ok(child.stdout)
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const kill = async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return { instances: JSON.parse(line) as Instance[], kill }
}

const recordPath = (machine: ProcessHarness, id: string) => join(machine.dataDir, 'processes', id, 'record.json')
const readRecord = async (machine: ProcessHarness, id: string) =>
  JSON.parse(await readFile(recordPath(machine, id), 'utf8')) as Record<string, unknown>
const changeRecord = async (machine: ProcessHarness, id: string, change: Record<string, unknown>) =>
  writeFile(recordPath(machine, id), JSON.stringify({ ...(await readRecord(machine, id)), ...change }))

describe('process driver: adoption', () => {
  it('takes over replicas of a controller that was killed, while they go on serving on their ports', async (t) => {
    const machine = await openDriver(t)
    const { driver } = machine
    const { instances, kill } = await startController(t, machine, ['a', 'b', 'c'])
    await Promise.all(instances.map(({ port }) => waitFor(() => fetch(`http://127.0.0.1:${port}/healthz`))))
    await kill()

    const adopted = (await driver.list()).sort((x, y) => x.id.localeCompare(y.id))
    assert.deepEqual(adopted, instances)
    for (const { port, pid } of adopted) {
      const answer = (await (await fetch(`http://127.0.0.1:${port}/`)).json()) as { pid: number }
      assert.equal(answer.pid, pid)
    }
    assert.equal((await driver.logs('a', { lines: 5 }))[0]?.line, `listening on ${instances[0]?.port}`)

    const exits: Instance[] = []
    driver.watch((event) => event.type === 'exited' && exits.push(event.instance))
    const startedAt = performance.now()
    process.kill(instances[0]?.pid ?? 0, 'SIGKILL')
    await waitFor(() => exits[0]?.id === 'a')
    assert.ok(performance.now() - startedAt < 1_000)

    const fresh = await driver.start(request('d', replicaCommand))
    assert.ok(!instances.some(({ port }) => port === fresh.port))
    await driver.stop('b', { graceSeconds: 5 })
    await driver.stop('c', { graceSeconds: 5 })
    await driver.stop('d', { graceSeconds: 5 })
    assert.deepEqual(await machine.pids(), [])
  })

  it('measures what it adopted from the second time on', async (t) => {
    const { driver, open } = await openDriver(t)
    await driver.start(request('a', replicaCommand))
    await driver.close({ keep: true })
    const next = open()
    t.after(() => next.close({ keep: false }))
    assert.equal((await next.usage(['a'])).size, 0)
    assert.ok((await waitFor(async () => (await next.usage(['a'])).get('a'))).memoryBytes > 0)
  })

  for (const { name, damage } of [
    {
      name: 'a crash between the spawn and the record',
      damage: (machine: ProcessHarness) => changeRecord(machine, 'a', { pid: undefined, startTime: undefined }),
    },
    { name: 'a torn record', damage: (machine: ProcessHarness) => writeFile(recordPath(machine, 'a'), '{"id":"a"') },
    { name: 'an empty record', damage: (machine: ProcessHarness) => writeFile(recordPath(machine, 'a'), '') },
    {
      name: 'a data directory that was lost',
      damage: (machine: ProcessHarness) => rm(join(machine.dataDir, 'processes'), { recursive: true }),
    },
  ]) {
    it(`finds a replica by its mark after ${name}`, async (t) => {
      const machine = await openDriver(t)
      const { instances, kill } = await startController(t, machine, ['a'])
      await kill()
      await damage(machine)
      const [found, ...others] = await machine.driver.list()
      assert.deepEqual(others, [])
      const { startedAtMs: _, ...expected } = instances[0] as Instance
      const { startedAtMs, ...actual } = found as Instance
      assert.deepEqual(actual, expected)
      assert.ok(startedAtMs > 0)
      assert.equal((await readRecord(machine, 'a')).pid, expected.pid)
      await machine.driver.stop('a', { graceSeconds: 5 })
      assert.deepEqual(await machine.pids(), [])
    })
  }

  it('never takes a recycled pid for its replica, nor touches what has it now', async (t) => {
    const machine = await openDriver(t)
    const { instances, kill } = await startController(t, machine, ['a'])
    await kill()
    process.kill(instances[0]?.pid ?? 0, 'SIGKILL')
    await waitFor(async () => (await machine.pids()).length === 0)
    const stranger = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' })
    t.after(() => stranger.kill('SIGKILL'))
    const pid = stranger.pid ?? 0
    await changeRecord(machine, 'a', { pid })

    const [dead, ...others] = await machine.driver.list()
    assert.equal(dead?.isRunning, false)
    assert.deepEqual(dead?.exit, { code: null, signal: null })
    assert.deepEqual(others, [])
    await machine.driver.stop('a', { graceSeconds: 0 })
    await waitFor(async () => (await readRecord(machine, 'a')).endedAtMs)
    assert.ok(await isAlive(pid))
  })

  it('does not trust a pid of an earlier boot', async (t) => {
    const machine = await openDriver(t)
    const stranger = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' })
    t.after(() => stranger.kill('SIGKILL'))
    await machine.driver.start(request('a', ['sleep', '60']))
    await machine.driver.close({ keep: true })
    const [pid] = await machine.pids()
    await changeRecord(machine, 'a', { bootId: 'an earlier one' })
    const next = machine.open()
    t.after(() => next.close({ keep: false }))
    assert.equal((await next.list())[0]?.isRunning, false)
    // It carries our mark all the same, so it is ended as something left over.
    await waitFor(async () => !(await isAlive(pid ?? 0)))
  })

  it('takes a zombie for dead', async (t) => {
    const machine = await openDriver(t)
    // The shell becomes a program that never asks for its children, so what it started stays a zombie when killed.
    const script = 'sleep 60 & echo $!; exec sleep 61'
    const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
    t.after(() => process.kill(-(parent.pid ?? 0), 'SIGKILL'))
    assert.ok(parent.stdout)
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string]
    const statOf = (pid: number | string | undefined) => readFile(`/proc/${pid}/stat`, 'latin1')
    await waitFor(async () => (await statOf(parent.pid)).includes('(sleep)'))
    process.kill(Number(line), 'SIGKILL')
    await waitFor(async () => (await statOf(line)).includes(') Z '))

    await machine.driver.start(request('a', ['true']))
    await machine.driver.close({ keep: true })
    const startTime = Number((await statOf(line)).split(') ')[1]?.split(' ')[19])
    await changeRecord(machine, 'a', { pid: Number(line), startTime, endedAtMs: undefined, exit: undefined })
    const next = machine.open()
    t.after(() => next.close({ keep: false }))
    assert.equal((await next.list())[0]?.isRunning, false)
  })

  it('ends what a replica left that died while no controller was there', async (t) => {
    const machine = await openDriver(t)
    const source = `require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore' }); setInterval(() => {}, 1000)`
    const { pid = 0 } = await machine.driver.start(request('a', [process.execPath, '-e', source]))
    await waitFor(async () => (await machine.pids()).length === 2)
    await machine.driver.close({ keep: true })
    process.kill(pid, 'SIGKILL')
    await waitFor(async () => (await machine.pids()).length === 1)
    const next = machine.open()
    assert.equal((await next.list())[0]?.isRunning, false)
    await next.close({ keep: true })
    assert.deepEqual(await machine.pids(), [])
  })

  it('leaves replicas of another owner alone', async (t) => {
    const machine = await openDriver(t)
    const other = await openDriver(t)
    const instance = await other.driver.start(request('a', ['sleep', '60']))
    assert.deepEqual(await machine.driver.list(), [])
    await machine.driver.stop('a', { graceSeconds: 0 })
    assert.ok(await isAlive(instance.pid ?? 0))
  })

  it('removes what a start left that came no further than its folder', async (t) => {
    const machine = await openDriver(t)
    const instance = await machine.driver.start(request('a', ['sleep', '60']))
    await machine.driver.stop(instance.id, { graceSeconds: 0 })
    await machine.driver.close({ keep: true })
    await rm(recordPath(machine, 'a'))
    const next = machine.open()
    assert.deepEqual(await next.list(), [])
    assert.deepEqual(await readdir(join(machine.dataDir, 'processes')), [])
    await next.close({ keep: true })
  })
})
