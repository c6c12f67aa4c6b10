/** What a plugin gets that takes too much: stopped by what the host measures, blamed by hook and app, and nobody else pays. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import { effectiveLimits } from '../../runtime/limits.ts'
import { createLog } from '../../runtime/log.ts'
import type {
  CallOptions,
  HostCall,
  PluginSandbox,
  Sandbox,
  SandboxIncident,
  SandboxInstance,
} from '../../runtime/sandbox/sandbox.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const log = createLog({ level: 'silent' })
const defaults = effectiveLimits(undefined, false)
const decide: CallOptions = { hook: 'scaler', function: 'decide', per: 'item', timeoutMs: 10_000 }
const item = (name: string) => JSON.stringify({ app: { name } })

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

type Test = { after(run: () => Promise<void>): void }
interface Opened {
  plugin: PluginSandbox
  incidents: SandboxIncident[]
  open(name: string, onHostCall?: HostCall): Promise<SandboxInstance>
}

async function load(t: Test, body: string, limits = defaults): Promise<Opened> {
  const plugin = await sandbox.load(await bundleGuest(body), limits)
  t.after(() => plugin.close())
  const incidents: SandboxIncident[] = []
  plugin.onIncident((incident) => incidents.push(incident))
  return {
    plugin,
    incidents,
    open: (name, onHostCall = async () => 'null') =>
      plugin.open({ name, configJson: '{}', bindings: { kv: 'kv' }, onHostCall }),
  }
}

const spin = (ms: number) => `for (let n = 0; n < ${ms} * 2e5; n++) globalThis.x = n;`

describe('processor time', () => {
  test('above limits.cpuMs ends the call before its deadline, and says whose call it was', async (t) => {
    const opened = await load(t, `scaler: { decide() { for (;;); } }`, { ...defaults, cpuMs: 200, timeoutMs: 3_000 })
    const instance = await opened.open('one')
    const startedMs = performance.now()
    const [answer] = await instance.call([item('shop')], { ...decide, apps: ['shop'] })
    const tookMs = performance.now() - startedMs
    assert.ok(answer !== undefined && !answer.ok && answer.code === 'ORC_SANDBOX_CPU_EXCEEDED', JSON.stringify(answer))
    assert.ok(tookMs > 150 && tookMs < 8_000, `${tookMs} ms`)
    const [incident] = opened.incidents
    assert.deepEqual(
      { ...incident, atMs: 0, message: '' },
      {
        code: 'ORC_SANDBOX_CPU_EXCEEDED',
        message: '',
        instance: 'one',
        hook: 'scaler',
        app: 'shop',
        action: 'processKilled',
        atMs: 0,
      },
    )
    assert.match(incident?.message ?? '', /at most 200 are allowed \(limits\.cpuMs\)/)
    const row = instance.usageRows().find(({ hook }) => hook === 'scaler')
    assert.ok((row?.cpuMs ?? 0) > 150, 'what the host measured is charged where nothing was told')
    assert.deepEqual([row?.app, row?.errors], ['shop', 1])
  })

  test('after an await is found too', async (t) => {
    const body = `scaler: { async decide({ ctx }) { await ctx.kv.get('k'); for (;;); } }`
    const opened = await load(t, body, { ...defaults, cpuMs: 200, timeoutMs: 3_000 })
    const instance = await opened.open('one')
    const [answer] = await instance.call([item('shop')], decide)
    assert.ok(answer !== undefined && !answer.ok && answer.code === 'ORC_SANDBOX_CPU_EXCEEDED', JSON.stringify(answer))
    assert.equal(opened.incidents[0]?.hook, 'scaler')
  })

  test('of large batches, of activate and of many calls in a row is no excess', async (t) => {
    const opened = await load(
      t,
      `activate() { ${spin(300)} }, scaler: { decide({ app }) { ${spin(1)} return { replicas: 1, reason: app.name } } }`,
      {
        ...defaults,
        cpuMs: 1_000,
        startMs: 15_000,
        timeoutMs: 5_000,
      },
    )
    const instance = await opened.open('one')
    const batch = Array.from({ length: 128 }, (_, n) => item(`a${n}`))
    const untilMs = performance.now() + 3_000
    while (performance.now() < untilMs) {
      const answers = await instance.call(batch, decide)
      assert.ok(
        answers.every(({ ok }) => ok),
        JSON.stringify(answers[0]),
      )
    }
    assert.deepEqual(opened.incidents, [])
    assert.equal(opened.plugin.restarts, 0)
  })
})

describe('blame', () => {
  test('of an instance that ends the process falls on it alone: what the others had asked was just not answered', async (t) => {
    const body = `scaler: { async decide({ app, ctx }) {
      if (app.name === 'evil') for (;;);
      if (app.name === 'slow') await ctx.kv.get('k')
      return { replicas: 1, reason: app.name }
    } }`
    const opened = await load(t, body)
    const culprit = await opened.open('culprit')
    const bystander = await opened.open('bystander', () => new Promise((resolve) => setTimeout(resolve, 5_000, '1')))
    const slow = bystander.call([item('slow')], decide)
    await new Promise((resolve) => setTimeout(resolve, 50))
    const evil = culprit.call([item('evil')], { ...decide, timeoutMs: 300 })
    const [[ofEvil], [ofSlow]] = await Promise.all([evil, slow])
    assert.ok(ofEvil !== undefined && !ofEvil.ok && ofEvil.code === 'ORC_SANDBOX_TIMEOUT', JSON.stringify(ofEvil))
    assert.ok(ofSlow !== undefined && !ofSlow.ok && ofSlow.code === 'ORC_HOOK_NOT_SERVING', JSON.stringify(ofSlow))
    assert.match(ofSlow.message, /because of the instance culprit/)
    assert.deepEqual(
      opened.incidents.map(({ instance, hook, action }) => [instance, hook, action]),
      [['culprit', 'scaler', 'processKilled']],
    )
    const [again] = await bystander.call([item('fine')], decide)
    assert.ok(again?.ok, JSON.stringify(again))
  })

  test('of an isolate that keeps filling up is one incident, not one for each that was replaced', async (t) => {
    const body = `scaler: { decide() {
      globalThis.kept ??= []
      for (let n = 0; n < 100_000; n++) globalThis.kept.push({ n })
      return { replicas: globalThis.kept.length, reason: 'r' }
    } }`
    const opened = await load(t, body, { ...defaults, memoryMb: 16 })
    const instance = await opened.open('one')
    let last = 0
    let replaced = 0
    await waitFor(
      async () => {
        const [answer] = await instance.call([item('x')], decide)
        const size = answer?.ok ? (answer.value as { replicas: number }).replicas : last
        if (size < last) replaced += 1
        last = size
        await new Promise((resolve) => setTimeout(resolve, 60))
        return replaced >= 2
      },
      { timeoutMs: 20_000, everyMs: 5, what: 'two isolates to be replaced' },
    )
    const leaks = opened.incidents.filter(({ action }) => action === 'isolateReplaced')
    assert.deepEqual(
      leaks.map(({ code, instance: of }) => [code, of]),
      [['ORC_SANDBOX_OUT_OF_MEMORY', 'one']],
    )
  })
})

describe('residue', () => {
  test('PER-01 state left in globals and promises left pending: after a timeout the next call runs in a new process', async (t) => {
    const body = `scaler: { async decide({ app, ctx }) {
      globalThis.calls = (globalThis.calls ?? 0) + 1
      if (app.name === 'hang') {
        ctx.kv.get('late').then(() => { globalThis.calls = 1_000 })
        await new Promise(() => {})
      }
      return { replicas: globalThis.calls, reason: 'r' }
    } }`
    const opened = await load(t, body)
    const late: ((value: string) => void)[] = []
    const instance = await opened.open('one', () => new Promise((resolve) => late.push(resolve)))
    await instance.call([item('a')], decide)
    const [second] = await instance.call([item('a')], decide)
    assert.deepEqual(second, { ok: true, value: { replicas: 2, reason: 'r' } })
    const pid = opened.plugin.pid
    const [hung] = await instance.call([item('hang')], { ...decide, timeoutMs: 200 })
    assert.ok(hung !== undefined && !hung.ok && hung.code === 'ORC_SANDBOX_TIMEOUT')
    const [next] = await instance.call([item('a')], decide)
    assert.deepEqual(next, { ok: true, value: { replicas: 1, reason: 'r' } })
    assert.notEqual(opened.plugin.pid, pid)
    for (const resolve of late) resolve('"late"')
    const [after_] = await instance.call([item('a')], decide)
    assert.deepEqual(after_, { ok: true, value: { replicas: 2, reason: 'r' } })
  })
})

describe('the account of a real plugin', () => {
  test('has calls, time, host calls and bytes of each hook and app; an app pays for its own share', async (t) => {
    const body = `activate() { ${spin(20)} }, scaler: { async decide({ app, ctx }) {
      if (app.name === 'bad') throw new Error('bad')
      ${spin(20)}
      if (app.name === 'asks') await ctx.kv.get('k')
      ${spin(20)}
      return { replicas: 1, reason: 'r' }
    } }`
    const opened = await load(t, body, { ...defaults, startMs: 10_000 })
    const instance = await opened.open('one', async () => JSON.stringify('x'.repeat(1_000)))
    await instance.call([item('asks')], { ...decide, apps: ['asks'] })
    await instance.call([item('a'), item('bad')], { ...decide, apps: ['a', 'bad'] })
    const rows = new Map(instance.usageRows().map((row) => [`${row.hook} ${row.app}`, row]))
    const asks = rows.get('scaler asks')
    assert.ok(asks !== undefined && asks.cpuMs > 1 && asks.cpuMs <= asks.wallMs, JSON.stringify(asks))
    assert.deepEqual([asks.calls, asks.errors, asks.hostCalls], [1, 0, 1])
    assert.ok(asks.bytesIn > 1_000 && asks.bytesOut > 20)
    const [good, bad] = [rows.get('scaler a'), rows.get('scaler bad')]
    assert.deepEqual([good?.errors, bad?.errors, good?.cpuMs === bad?.cpuMs], [0, 1, true])
    assert.ok((rows.get('activate ')?.cpuMs ?? 0) > 1)
    const total = instance.usage()
    const sum = instance.usageByHook().reduce((ms, { cpuMs }) => ms + cpuMs, 0)
    assert.ok(Math.abs(sum - total.cpuMs) < 1e-6, `${sum} ms of hooks, ${total.cpuMs} ms in all`)
    assert.deepEqual([total.calls, total.errors], [3, 1])
  })
})
