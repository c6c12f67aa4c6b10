/** Who is charged with the processor time of a sandbox process, and when it is too much. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createCpuWatch, type Spender } from '../../runtime/sandbox/cpu-watch.ts'

type Call = Spender & { isAwaiting: boolean; readonly name: string }
const call = (name: string, startedMs: number, more: Partial<Call> = {}): Call => ({
  name,
  startedMs,
  cpuLimitMs: 1_000,
  isAwaiting: false,
  cpuMs: 0,
  ...more,
})

/** A process that is looked at every 100 ms. */
function watched() {
  const watch = createCpuWatch<Call>({ cpuMs: 0, nowMs: 0 })
  const at = { nowMs: 0, cpuMs: 0, idleMs: 0, askedMs: 0 }
  return (cpuMs: number, open: Call[], busyMs = open.length > 0 ? 100 : 0) => {
    at.nowMs += 100
    at.cpuMs += cpuMs
    at.idleMs += 100 - busyMs
    at.askedMs += busyMs * Math.max(1, open.length)
    return watch.look({ ...at, open })
  }
}

describe('a call', () => {
  test('is charged with all that the process spends while it alone runs, and found out at the next look', () => {
    const look = watched()
    const spinner = call('spinner', 0)
    for (let n = 0; n < 10; n += 1) assert.equal(look(100, [spinner]), undefined)
    const verdict = look(100, [spinner])
    assert.ok(verdict?.kind === 'call' && verdict.spender === spinner && verdict.limitMs === 1_000)
    assert.equal(Math.round(spinner.cpuMs), 1_100)
  })

  test('that has just begun is not charged with what the one before it spent', () => {
    const look = watched()
    const late = call('late', 95)
    look(100, [late])
    assert.equal(late.cpuMs, 5)
  })

  test('that awaits something is charged with nothing while another one runs', () => {
    const look = watched()
    const waiting = Array.from({ length: 15 }, (_, n) => call(`w${n}`, 0, { isAwaiting: true }))
    const runner = call('runner', 0)
    look(100, [...waiting, runner])
    assert.deepEqual([runner.cpuMs, waiting[0]?.cpuMs], [100, 0])
    look(150, waiting)
    assert.equal(waiting[0]?.cpuMs, 10)
  })

  test('shares with others that run at the same time; the one above its own limit is blamed', () => {
    const look = watched()
    const [modest, greedy] = [call('modest', 0), call('greedy', 0, { cpuLimitMs: 60 })]
    assert.equal(look(100, [modest, greedy]), undefined)
    const verdict = look(100, [modest, greedy])
    assert.ok(verdict?.kind === 'call' && verdict.spender === greedy)
  })

  test('without a limit, like activate, is never blamed', () => {
    const look = watched()
    const activate = call('activate', 0, { cpuLimitMs: undefined })
    for (let n = 0; n < 100; n += 1) assert.equal(look(150, [activate]), undefined)
  })
})

describe('a process of which nothing is asked', () => {
  const cases: [string, number, boolean][] = [
    ['sleeps', 0, false],
    ['collects some garbage', 30, false],
    ['takes just half a core', 50, false],
    ['takes more than half a core', 60, true],
    ['spins', 100, true],
  ]
  for (const [what, cpuMs, isBlamed] of cases) {
    test(`${what}: ${isBlamed ? 'blamed after two seconds' : 'left alone'}`, () => {
      const look = watched()
      for (let n = 0; n < 19; n += 1) assert.equal(look(cpuMs, []), undefined, `look ${n}`)
      assert.equal(look(cpuMs, [])?.kind, isBlamed ? 'idle' : undefined)
    })
  }

  test('is blamed also when it is called now and then', () => {
    const look = watched()
    let looks = 0
    for (; looks < 60; looks += 1) {
      const asked = looks % 5 === 0 ? [call('short', looks * 100 + 90)] : []
      if (look(100, asked, asked.length * 10)?.kind === 'idle') break
    }
    assert.ok(looks >= 19 && looks < 30, `${looks}`)
  })

  test('is not blamed for calls that were over before anybody looked', () => {
    const look = watched()
    for (let n = 0; n < 100; n += 1) assert.equal(look(120, [], 80), undefined)
  })
})
