/** One plugin that asks the host for as much as it may, and what another one and the host itself notice of it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { after, before, describe, test } from 'node:test'
import { createKvCapability } from '../../runtime/capabilities/kv.ts'
import { systemClock } from '../../runtime/clock.ts'
import { effectiveLimits, limits } from '../../runtime/limits.ts'
import { createLog } from '../../runtime/log.ts'
import type { HostCall, Sandbox, SandboxInstance } from '../../runtime/sandbox/sandbox.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { bindAs } from '../support/bound.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'

const log = createLog({ level: 'silent' })
const quota = { ...effectiveLimits(undefined, false), hostCalls: 2_000, timeoutMs: 30_000, outKb: 1_024 }
const measuredMs = 1_500
/** What was measured is in the diagnostics and far below; a flood without bounds costs seconds. */
const mostMs = 1_000

let dataDir: string
let sandbox: Sandbox
before(async () => {
  dataDir = await tempDir()
  sandbox = await createSandbox({ dataDir, clock: systemClock, log })
})
after(async () => {
  await sandbox.close()
  await removeDir(dataDir)
})
type Test = { after(run: () => Promise<void>): void; diagnostic(text: string): void }

async function open(t: Test, name: string, body: string, onHostCall: HostCall): Promise<SandboxInstance> {
  const plugin = await sandbox.load(await bundleGuest(body, name), quota)
  t.after(() => plugin.close())
  return await plugin.open({ name, configJson: '{}', bindings: { kv: 'kv' }, onHostCall })
}

/** The real capability, with a hundred keys in the real store. */
async function openKv(t: Test): Promise<HostCall> {
  const store = await createLmdbStore({ path: join(await tempDir(), 'state'), clock: systemClock, log })
  t.after(() => store.close())
  const { bound, call } = bindAs(createKvCapability({ store }), { kind: 'kv' })
  for (let n = 0; n < 100; n += 1) await call('kv.put', `key-${n}`, n)
  return bound.onHostCall
}

/** Calls of a neighbour, one after another: what it waits, and how long the loop of the host was held up. */
async function measure(neighbour: SandboxInstance) {
  const loop = monitorEventLoopDelay({ resolution: 2 })
  const took: number[] = []
  loop.enable()
  const untilMs = performance.now() + measuredMs
  while (performance.now() < untilMs) {
    const startedMs = performance.now()
    const [answer] = await neighbour.call(['{}'], {
      hook: 'scaler',
      function: 'decide',
      per: 'item',
      timeoutMs: 5_000,
    })
    assert.ok(answer?.ok, JSON.stringify(answer))
    took.push(performance.now() - startedMs)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  loop.disable()
  took.sort((a, b) => a - b)
  const at = (share: number) => took[Math.floor(took.length * share)] ?? 0
  return { p50: at(0.5), p99: at(0.99), gap: loop.percentile(99) / 1e6, longest: loop.max / 1e6 }
}

const shown = ({ p50, p99, gap, longest }: Awaited<ReturnType<typeof measure>>) =>
  `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms; host loop p99 ${gap.toFixed(1)} ms, longest ${longest.toFixed(1)} ms`

describe('a plugin that floods the host with calls', () => {
  const floods: [string, number, string][] = [
    ['500 kv.list every 100 ms', 500, `ctx.kv.list()`],
    ['2,000 kv.list every 100 ms', 2_000, `ctx.kv.list()`],
    ['100 refused arguments of 40 KB every 100 ms', 100, `ctx.kv.get('x'.repeat(40_000)).catch(() => {})`],
  ]
  for (const [what, count, code] of floods) {
    test(`${what}: its neighbour is answered as before, and the host's loop goes on`, async (t) => {
      const kv = await openKv(t)
      let served = 0
      const counted: HostCall = async (...args) => {
        served += 1
        return await kv(...args)
      }
      const decide = `decide: () => ({ replicas: 1, reason: 'r' })`
      const neighbour = await open(t, 'neighbour', `scaler: { ${decide} }`, async () => 'null')
      const flooder = await open(
        t,
        'flooder',
        `eventHandler: { async handle(event, { ctx }) {
          const all = []
          for (let n = 0; n < ${count}; n++) all.push(${code})
          await Promise.allSettled(all)
        } }`,
        counted,
      )
      await measure(neighbour)
      const before_ = await measure(neighbour)
      const startedMs = performance.now()
      const call = { hook: 'eventHandler', function: 'handle', per: 'call', timeoutMs: 20_000 } as const
      const timer = setInterval(() => void flooder.call(['{}'], call), 100)
      const during = await measure(neighbour)
      clearInterval(timer)
      const seconds = (performance.now() - startedMs) / 1_000
      t.diagnostic(`alone: ${shown(before_)}`)
      t.diagnostic(`beside the flood: ${shown(during)}; ${Math.round(served / seconds)} host calls a second`)
      assert.ok(served > 10, `${served}`)
      assert.ok(served <= limits.hostCallsBurst + limits.hostCallsPerSecond * (seconds + 0.5), `${served}`)
      assert.ok(during.p99 < mostMs, shown(during))
    })
  }
})
