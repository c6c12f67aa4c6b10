/** Runs hostile guests in the real sandbox, beside a plugin that must not notice. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { TestContext } from 'node:test'
import { effectiveLimits } from '../../../runtime/limits.ts'
import type { Bundle, GuestAnswer, HostCall, PluginSandbox, SandboxInstance } from '../../../runtime/sandbox/sandbox.ts'
import { isAlive, processesNaming } from '../../support/processes.ts'
import { removeDir, tempDir } from '../../support/temp-dir.ts'
import { createTestedSandbox } from '../../support/tested-tier.ts'
import { waitFor } from '../../support/wait-for.ts'
import { type HostileGuest, scope } from './guest.ts'

/** Short, so that a hundred guests that never end take half a minute. */
const deadlineMs = 150
/** A call is over this long after its deadline, as long as this process itself was not held up. */
const lateMs = 100
/** On a quiet machine both are below 50 ms; whoever waits for a guest that cannot be stopped waits for minutes. */
const mostMs = 1_000
export const guestLimits = { ...effectiveLimits(undefined, false), memoryMb: 16, hostCalls: 20, outKb: 64 }

const bindings = { kv: 'kv', log: 'log', timers: 'timers' }
export const answerHostCall: HostCall = async (operation, argumentsJson) => {
  const [first] = JSON.parse(argumentsJson) as unknown[]
  if (first === 'fail') throw new Error('/home/operator/secret.ts is not readable')
  return JSON.stringify(operation.startsWith('timers') ? 't1' : first)
}

export function bundleOf(guests: readonly HostileGuest[]): Bundle {
  const bodies = guests.map(
    ({ body, isBare }) => `${isBare === true ? '' : 'async '}({ ctx, config, hold }) => { ${body}\n}`,
  )
  const source = `${scope}\nconst guests = [${bodies.join(',\n')}]
module.exports = { scaler: { decide: (input) => (input.index === -1 ? 'fine' : guests[input.index](input)) } }`
  return { plugin: 'hostile', version: '1.0.0', source, hash: createHash('sha256').update(source).digest('hex') }
}

export interface Outcome {
  readonly answer: GuestAnswer
  readonly isReplaced: boolean
  readonly tookMs: number
}

export function callGuest(instance: SandboxInstance, index: number, timeoutMs: number): Promise<GuestAnswer[]> {
  const options = { hook: 'scaler', function: 'decide', per: 'item', timeoutMs } as const
  return instance.call([JSON.stringify({ index })], options)
}

export async function openGuests(plugin: PluginSandbox): Promise<SandboxInstance> {
  const configJson = '{"n":1,"deep":{"n":1}}'
  return plugin.open({ name: 'one', configJson, bindings, onHostCall: answerHostCall })
}

/** What one guest came to. Afterwards the plugin serves again, in a new process if the old one had to end. */
export async function runGuest(
  plugin: PluginSandbox,
  instance: SandboxInstance,
  index: number,
  { timeoutMs = deadlineMs, calls = 1 }: HostileGuest,
): Promise<Outcome> {
  const before = plugin.pid
  let answer: GuestAnswer | undefined
  let tookMs = 0
  for (let turn = 0; turn < calls; turn += 1) {
    const startedMs = performance.now()
    ;[answer] = await callGuest(instance, index, timeoutMs)
    tookMs = performance.now() - startedMs
  }
  // A guest may have left something behind that ends its process a moment later, or the next call.
  const [fine] = await callGuest(instance, -1, 2_000)
  const isReplaced = fine?.ok !== true || plugin.pid !== before
  if (isReplaced) {
    // Its death is forgiven: after five, nothing would run any more.
    await plugin.reset()
    await waitFor(async () => (await callGuest(instance, -1, 1_000))[0]?.ok, {
      timeoutMs: 30_000,
      everyMs: 5,
      what: 'the plugin to serve again',
    })
    if (before !== undefined) await waitFor(() => !isAlive(before), { what: 'the process of the guest to be gone' })
  }
  return { answer: answer as GuestAnswer, isReplaced, tookMs }
}

/** Why the outcome is not what was expected; undefined when it is. */
export function complaint({ expected }: HostileGuest, { answer, isReplaced }: Outcome): string | undefined {
  const got = `${JSON.stringify(answer).slice(0, 600)}${isReplaced ? ', its process replaced' : ''}`
  if ('ends' in expected) {
    const isRight = !answer.ok && expected.ends.includes(answer.code) && isReplaced
    return isRight ? undefined : `expected ${expected.ends.join(' or ')} and a new process, got ${got}`
  }
  if ('leaves' in expected) {
    const isRight = answer.ok && JSON.stringify(answer.value) === JSON.stringify(expected.leaves) && isReplaced
    return isRight ? undefined : `expected ${JSON.stringify(expected.leaves)} and a new process, got ${got}`
  }
  if (isReplaced) return `expected its process to stay, got ${got}`
  if ('fails' in expected) {
    const isRight = !answer.ok && answer.code === expected.fails && (expected.words?.test(answer.message) ?? true)
    return isRight && answer.message.length <= 600
      ? undefined
      : `expected ${expected.fails} ${expected.words}, got ${got}`
  }
  try {
    assert.deepEqual(answer, { ok: true, value: expected.value })
    return undefined
  } catch {
    return `expected ${JSON.stringify(expected.value)}, got ${got}`
  }
}

/** Every guest of a table as a test of its own, and after them what the others noticed. */
export async function stage(t: TestContext, guests: readonly HostileGuest[]): Promise<void> {
  const dataDir = await tempDir()
  const sandbox = await createTestedSandbox(dataDir)
  const plugin = await sandbox.load(bundleOf(guests), guestLimits)
  const instance = await openGuests(plugin)
  const neighbour = await sandbox.load(bundleOf([]), guestLimits)
  const watched = await openGuests(neighbour)
  const calls: number[] = []
  const gaps = monitorEventLoopDelay({ resolution: 5 })
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      const startedMs = performance.now()
      const [answer] = await callGuest(watched, -1, 5_000)
      calls.push(performance.now() - startedMs)
      assert.ok(answer?.ok, `the neighbour was not answered: ${JSON.stringify(answer)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  gaps.enable()
  let longestGapMs = 0
  let latestMs = 0
  for (const [index, guest] of guests.entries()) {
    await t.test(guest.name, async () => {
      gaps.reset()
      const outcome = await runGuest(plugin, instance, index, guest)
      const gapMs = gaps.max / 1e6
      longestGapMs = Math.max(longestGapMs, gapMs)
      assert.equal(complaint(guest, outcome), undefined)
      const overMs = outcome.tookMs - (guest.timeoutMs ?? deadlineMs)
      latestMs = Math.max(latestMs, overMs)
      assert.ok(overMs < lateMs + gapMs, `its call was over ${Math.round(overMs)} ms after its deadline`)
    })
  }
  isOver = true
  const neighbourDied = await watching.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  const restarts = neighbour.restarts
  await sandbox.close()
  await t.test('nobody else noticed, and nothing is left', async (inner) => {
    calls.sort((a, b) => a - b)
    const p99 = calls[Math.floor(calls.length * 0.99)] ?? 0
    inner.diagnostic(
      `${calls.length} calls of the neighbour, p99 ${p99.toFixed(1)} ms, most ${calls.at(-1)?.toFixed(1)} ms`,
    )
    inner.diagnostic(`longest gap of the host's loop ${longestGapMs.toFixed(1)} ms`)
    inner.diagnostic(`latest end of a call ${latestMs.toFixed(1)} ms after its deadline`)
    await waitFor(() => processesNaming(dataDir).length === 0, { what: 'every sandbox process to be gone' })
    await removeDir(dataDir)
    assert.equal(neighbourDied, undefined)
    assert.equal(restarts, 0)
    assert.ok(p99 < mostMs, `p99 of the neighbour ${p99} ms`)
    assert.ok(longestGapMs < mostMs, `the host's loop stood still for ${longestGapMs} ms`)
  })
}
