import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import { createProcFs, parseStat } from '../../runtime/drivers/proc-fs.ts'
import { createProcessDriver } from '../../runtime/drivers/process.ts'
import { membersOf, type ProcessInfo, type ProcessTable } from '../../runtime/drivers/process-table.ts'
import { createPs, parsePsLine } from '../../runtime/drivers/ps.ts'
import { createLog } from '../../runtime/log.ts'
import { waitFor } from '../support/wait-for.ts'
import { processHarness, request } from './process-harness.ts'

const units = { msPerTick: 10, pageBytes: 4096 }

describe('process table: /proc', () => {
  it('reads a name that looks like fields', () => {
    const rest = 'S 1 42 42 0 -1 0 0 0 0 0 7 5 0 0 20 0 1 0 1234 99999 25 0'
    assert.deepEqual(parseStat(`42 (a) R 1 (b c)) ${rest}`, units), {
      pid: 42,
      groupId: 42,
      sessionId: 42,
      startTime: 1234,
      isAlive: true,
      cpuMs: 120,
      rssBytes: 25 * 4096,
    })
    assert.equal(parseStat(`42 (a) ${rest.replace('S', 'Z')}`, units)?.isAlive, false)
  })

  for (const text of ['', '42', '42 (a', '42 (a) S 1 2', 'nonsense (x) S 1']) {
    it(`takes ${JSON.stringify(text)} for no process`, () => assert.equal(parseStat(text, units), undefined))
  }

  it('sees this very process, with memory and CPU time as Node has them', async () => {
    const table = createProcFs()
    const self = await table.get(process.pid)
    const { user, system } = process.cpuUsage()
    assert.ok(self?.isAlive)
    assert.ok(Math.abs(self.cpuMs - (user + system) / 1000) < 500)
    assert.ok(Math.abs(self.rssBytes / process.memoryUsage.rss() - 1) < 0.3)
    assert.ok((await table.all()).some(({ pid }) => pid === process.pid))
    assert.equal((await table.environmentOf(process.pid)).get('PATH'), process.env.PATH)
    assert.equal(await table.bootId(), (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim())
    assert.equal(await table.get(999_999_999), undefined)
    assert.equal((await table.environmentOf(999_999_999)).size, 0)
  })

  it('answers many that ask at once, each with what is true after its question', async () => {
    const table = createProcFs()
    const answers = await Promise.all(Array.from({ length: 50 }, () => table.all()))
    assert.ok(answers.every((all) => all.some(({ pid }) => pid === process.pid)))
    assert.ok(new Set(answers).size <= 2)
  })
})

describe('process table: ps', () => {
  const cases: { line: string; seen: Partial<ProcessInfo> | undefined }[] = [
    {
      line: '    1     1 S    Sun Nov 22 15:22:24 2026 20600 1-02:00:05',
      seen: { pid: 1, groupId: 1, isAlive: true, rssBytes: 20600 * 1024, cpuMs: 93_605_000 },
    },
    {
      line: '  501   400 Z+   Sun Nov  2 05:02:04 2026 0 0:01.50',
      seen: { pid: 501, groupId: 400, isAlive: false, startTime: Date.UTC(2026, 10, 2, 5, 2, 4), cpuMs: 1_500 },
    },
    { line: '', seen: undefined },
    { line: 'ps: unknown option', seen: undefined },
  ]
  for (const { line, seen } of cases) {
    it(`reads ${JSON.stringify(line)}`, () => {
      const process = parsePsLine(line)
      assert.deepEqual(seen && { ...process, ...seen }, process)
    })
  }

  it('is enough to start, adopt, measure and stop replicas', async (t) => {
    const machine = await processHarness()
    t.after(machine.dispose)
    const { dataDir, ownerId } = machine
    const open = () => {
      const log = createLog({ level: 'silent' })
      return createProcessDriver({ dataDir, ownerId, clock: systemClock, log, table: createPs() })
    }
    const first = open()
    const instance = await first.start(request('a', ['sh', '-c', 'sleep 60 & wait']))
    await waitFor(async () => (await machine.pids()).length === 2)
    assert.ok(((await first.usage(['a'])).get('a')?.memoryBytes ?? 0) > 0)
    await first.close({ keep: true })
    const second = open()
    t.after(() => second.close({ keep: false }))
    assert.deepEqual(await second.list(), [instance])
    await second.stop('a', { graceSeconds: 2 })
    assert.deepEqual(await machine.pids(), [])
  })
})

describe('members of a replica', () => {
  const process = (pid: number, groupId: number, sessionId: number, more: Partial<ProcessInfo> = {}): ProcessInfo => ({
    pid,
    groupId,
    sessionId,
    startTime: 100 + pid,
    isAlive: true,
    cpuMs: 0,
    rssBytes: 0,
    ...more,
  })
  const marks = (id: string, owner = 'me') =>
    new Map([
      ['ORCHESTRY_OWNER', owner],
      ['ORCHESTRY_INSTANCE', id],
    ])
  const subject = { ownerId: 'me', id: 'a', pid: 10, startTime: 110 }
  const tableOf = (all: ProcessInfo[], marked: Record<number, ReadonlyMap<string, string>> = {}): ProcessTable => ({
    pollMs: 100,
    bootId: async () => '',
    get: async (pid) => all.find((one) => one.pid === pid),
    all: async () => all,
    environmentOf: async (pid) => marked[pid] ?? new Map(),
  })
  const others = [process(1, 1, 1), process(50, 50, 50)]
  const cases: { name: string; table: ProcessTable; isGroupKnown?: boolean; pids: number[] }[] = [
    {
      name: 'its group and its session',
      table: tableOf([...others, process(10, 10, 10), process(11, 10, 10), process(12, 12, 10)]),
      pids: [10, 11, 12],
    },
    { name: 'no zombies', table: tableOf([process(10, 10, 10, { isAlive: false }), process(11, 10, 10)]), pids: [11] },
    {
      name: 'what carries its mark elsewhere, not that of another replica or owner',
      table: tableOf([...others, process(20, 20, 20), process(21, 21, 21), process(22, 22, 22)], {
        20: marks('a'),
        21: marks('b'),
        22: marks('a', 'you'),
      }),
      pids: [20],
    },
    {
      name: 'nothing of the group when its number belongs to a stranger now',
      table: tableOf([process(10, 10, 10, { startTime: 999 }), process(11, 10, 10)]),
      pids: [],
    },
    { name: 'its group after its leader, when that was watched', table: tableOf([process(11, 10, 10)]), pids: [11] },
    {
      name: 'only marked ones after its leader, when nobody watched',
      table: tableOf([process(11, 10, 10), process(12, 10, 10)], { 12: marks('a') }),
      isGroupKnown: false,
      pids: [12],
    },
  ]
  for (const { name, table, isGroupKnown = true, pids } of cases) {
    it(`are ${name}`, async () => {
      const members = await membersOf(table, subject, { isGroupKnown })
      assert.deepEqual(
        members.map(({ pid }) => pid),
        pids,
      )
    })
  }
})
