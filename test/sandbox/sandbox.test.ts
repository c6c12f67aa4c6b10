/** The sandbox with real processes and real isolates: what it gives, and that a guest can harm nobody but its own call. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../runtime/clock.ts'
import { OrchestryError } from '../../runtime/errors.ts'
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

const limits = { ...effectiveLimits(undefined, false), memoryMb: 16, hostCalls: 20, outKb: 64 }
const decide: CallOptions = { hook: 'scaler', function: 'decide', per: 'item', timeoutMs: 300 }
const item = (name: string, more: object = {}) => JSON.stringify({ app: { name }, ...more })

let dataDir: string
let sandbox: Sandbox
before(async () => {
  dataDir = await tempDir()
  sandbox = await createSandbox({ dataDir, clock: systemClock, log: createLog({ level: 'silent' }) })
})
after(async () => {
  await sandbox.close()
  await removeDir(dataDir)
})

interface Opened {
  plugin: PluginSandbox
  instance: SandboxInstance
  incidents: SandboxIncident[]
  pids: number[]
}

/** Loads a plugin whose scaler runs `decideBody`, opens one instance, closes everything after the test. */
async function open(
  test: { after(run: () => Promise<void>): void },
  decideBody: string,
  options: { bindings?: Record<string, string>; onHostCall?: HostCall; config?: unknown; more?: string } = {},
): Promise<Opened> {
  const bundle = await bundleGuest(`scaler: { ${decideBody} }, ${options.more ?? ''}`)
  const plugin = await sandbox.load(bundle, limits)
  test.after(() => plugin.close())
  const incidents: SandboxIncident[] = []
  plugin.onIncident((incident) => incidents.push(incident))
  const instance = await plugin.open({
    name: 'one',
    configJson: JSON.stringify(options.config ?? {}),
    bindings: options.bindings ?? {},
    onHostCall: options.onHostCall ?? (async () => 'null'),
  })
  return { plugin, instance, incidents, pids: [plugin.pid as number] }
}

const isAlive = (pid: number) => existsSync(`/proc/${pid}/stat`)

describe('a plugin in its sandbox', () => {
  test('is described without any grant: hooks, declarations, config schema', async (t) => {
    const { plugin } = await open(t, `metrics: ['rps'], decide: () => ({ replicas: 1, reason: 'r' })`, {
      more: `config: Type.Object({ a: Type.Number({ default: 3 }), b: Type.Optional(Type.String()) }),
        loadBalancer: { apply() {}, remove() {}, status: () => null }, dispose() {}`,
    })
    const description = await plugin.describe()
    assert.deepEqual(description.hooks.scaler, { functions: ['decide'], declares: { metrics: ['rps'] } })
    assert.deepEqual(description.hooks.loadBalancer?.functions, ['apply', 'remove', 'status'])
    assert.deepEqual(description.lifecycle, ['dispose'])
    assert.deepEqual(description.configSchema?.required, ['a'])
  })

  test('answers a batch item by item: one that throws spoils only its own slot, and is located', async (t) => {
    const { instance, plugin } = await open(
      t,
      `decide({ app, config, hold }) {
        if (app.name === 'bad') throw new TypeError('no good')
        if (app.name === 'hold') return hold('later')
        return { replicas: config.n, reason: app.name }
      }`,
      { config: { n: 7 } },
    )
    const answers = await instance.call([item('a'), item('bad'), item('hold'), item('b')], decide)
    assert.deepEqual(answers[0], { ok: true, value: { replicas: 7, reason: 'a' } })
    assert.deepEqual(answers[2], { ok: true, value: { hold: true, reason: 'later' } })
    assert.deepEqual(answers[3], { ok: true, value: { replicas: 7, reason: 'b' } })
    const bad = answers[1]
    assert.ok(bad !== undefined && !bad.ok)
    assert.equal(bad.code, 'ORC_SANDBOX_GUEST_ERROR')
    assert.match(bad.message, /TypeError: no good/)
    assert.match(bad.line ?? '', /^plugin\.js:\d+:\d+$/)
    assert.equal(plugin.restarts, 0)
  })

  test('gets granted host functions, told apart by call, and errors as a code and our words', async (t) => {
    const seen: string[] = []
    const { instance } = await open(
      t,
      `async decide({ app, ctx }) {
        if (app.name === 'denied') {
          try { await ctx.kv.get('x') } catch (error) { return { replicas: 1, reason: error.code + ' ' + error.message } }
        }
        return { replicas: await ctx.kv.get(app.name), reason: 'kv' }
      }`,
      {
        bindings: { kv: 'kv' },
        onHostCall: async (operation, args, invocation) => {
          seen.push(`${operation} ${args} ${[...invocation.endpoints]}`)
          if (args === '["x"]') throw new OrchestryError('ORC_CAPABILITY_LIMIT', 'no more')
          if (args === '["secret"]') throw new Error('/home/operator/key is unreadable')
          return '5'
        },
      },
    )
    const [first, denied] = await instance.call([item('a'), item('denied')], {
      ...decide,
      endpoints: new Set(['10.0.0.1:80']),
    })
    assert.deepEqual(first, { ok: true, value: { replicas: 5, reason: 'kv' } })
    assert.deepEqual(denied, { ok: true, value: { replicas: 1, reason: 'ORC_CAPABILITY_LIMIT no more' } })
    assert.deepEqual(seen.sort(), ['kv.get ["a"] 10.0.0.1:80', 'kv.get ["x"] 10.0.0.1:80'])
    const [leak] = await instance.call([item('secret')], decide)
    assert.ok(leak !== undefined && !leak.ok && !leak.message.includes('operator'), JSON.stringify(leak))
  })

  test('has no ambient power: no clock, chance, timers, code from strings, or process', async (t) => {
    const { instance } = await open(
      t,
      `decide({ app, ctx }) {
        const tries = {
          now: () => Date.now(), date: () => new Date().getTime(), intl: () => new Intl.DateTimeFormat().format(),
          random: () => Math.random(), function: () => (() => {}).constructor('return 1')(),
          async: () => (async () => {}).constructor('return 1'), net: () => ctx.net,
          names: () => ['eval','WebAssembly','SharedArrayBuffer','Atomics','console','setTimeout','fetch','process','require','WeakRef']
            .filter((name) => typeof globalThis[name] !== 'undefined'),
          pollute: () => { Object.prototype.polluted = 1 }, patch: () => { JSON.stringify = () => 'x' },
          resize: () => typeof new ArrayBuffer(8, { maxByteLength: 64 }).resize,
          statics: () => { /(a)/.exec('a'); return typeof RegExp.$1 + typeof RegExp.lastMatch },
          has: () => [ctx.has('net'), ctx.has('toString'), ctx.has('constructor')].join(),
          helpers: () => [Object.getPrototypeOf([].values().map((x) => x)), Object.getPrototypeOf(Iterator.from({ next() {} })),
            Object.getOwnPropertyDescriptor(Object.prototype, 'toString').get].every(Object.isFrozen),
          fixed: () => new Date(0).getTime() + new Uint8Array(new ArrayBuffer(8)).length,
        }
        try { return { replicas: 0, reason: 'ok', metadata: { value: tries[app.name]() } } }
        catch (error) { return { replicas: 0, reason: String(error.message).slice(0, 60) } }
      }`,
    )
    const expectations: [string, RegExp | unknown][] = [
      ['now', /ctx\.clock was not granted/],
      ['date', /ctx\.clock was not granted/],
      ['intl', /ctx\.clock was not granted/],
      ['random', /ctx\.random was not granted/],
      ['function', /code from strings/],
      ['async', /code from strings/],
      ['net', /ctx\.net was not granted: add \{ "kind": "net" \}/],
      ['has', 'false,false,false'],
      ['statics', 'undefinedundefined'],
      ['helpers', true],
      ['names', []],
      ['pollute', /not extensible|read only|Cannot add/],
      ['patch', /read only|Cannot assign/],
      ['resize', 'undefined'],
      ['fixed', 8],
    ]
    const answers = await instance.call(
      expectations.map(([name]) => item(name)),
      decide,
    )
    for (const [index, [name, expected]] of expectations.entries()) {
      const answer = answers[index]
      assert.ok(answer?.ok, `${name}: ${JSON.stringify(answer)}`)
      const { reason, metadata } = answer.value as { reason: string; metadata?: { value: unknown } }
      if (expected instanceof RegExp) assert.match(reason, expected, name)
      else assert.deepEqual(metadata?.value, expected, `${name}: ${reason}`)
    }
  })

  test('gets time and chance from the host when granted', async (t) => {
    const { instance } = await open(
      t,
      `decide: ({ ctx }) => ({ replicas: 1, reason: 'r', metadata: { now: ctx.clock.now(), date: Date.now(), a: ctx.random.next(), b: Math.random() } })`,
      { bindings: { clock: 'clock', random: 'random' } },
    )
    const beforeMs = Date.now()
    const [one] = await instance.call([item('x')], decide)
    const [two] = await instance.call([item('x')], decide)
    assert.ok(one?.ok && two?.ok)
    const read = (answer: typeof one) =>
      (answer?.ok ? (answer.value as { metadata: Record<string, number> }).metadata : {}) as Record<string, number>
    assert.ok((read(one).now ?? 0) >= beforeMs && read(one).now === read(one).date)
    assert.notEqual(read(one).a, read(one).b)
    assert.notEqual(read(one).a, read(two).a)
  })

  test('is one powerless process: no environment, no network of ours, no descriptors but 0-3', async (t) => {
    if (process.platform !== 'linux') return t.skip('reads /proc, which only Linux has')
    const { plugin } = await open(t, `decide: () => ({ replicas: 1, reason: 'r' })`)
    const pid = plugin.pid as number
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').filter(Boolean).sort()
    // The tool that makes namespaces says where it starts the process, which is at the root.
    assert.deepEqual(
      environment.filter((variable) => variable !== 'PWD=/'),
      ['LANG=C', 'TZ=UTC'],
    )
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/')
    const sockets = readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`)
      return target.startsWith('socket:') && Number(fd) > 3
    })
    assert.deepEqual(sockets, [])
    const groupAndSession = (of: number | 'self') => {
      const stat = readFileSync(`/proc/${of}/stat`, 'latin1')
      return stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .slice(2, 4)
    }
    const ours = groupAndSession('self')
    assert.ok(
      groupAndSession(pid).every((id, index) => id !== ours[index]),
      'neither in our group nor in our session',
    )
  })
})

describe('a guest that goes wrong', () => {
  const guests: [string, string, string][] = [
    ['loops for ever', 'for (;;);', 'ORC_SANDBOX_TIMEOUT'],
    ['loops after an await', 'await null; for (;;);', 'ORC_SANDBOX_TIMEOUT'],
    ['never settles', 'await new Promise(() => {})', 'ORC_SANDBOX_TIMEOUT'],
    ['cannot be stopped from inside', 'new Array(2 ** 27).fill(1).includes(2)', ''],
    ['eats memory in arrays', 'const a = []; for (;;) a.push(new Array(1000).fill(1))', 'ORC_SANDBOX_OUT_OF_MEMORY'],
    ['eats memory in a Map', 'const m = new Map(); for (let i = 0; ; i++) m.set(i, i)', ''],
    ['throws a proxy that loops', 'throw new Proxy({}, { get() { for (;;); } })', 'ORC_SANDBOX_TIMEOUT'],
    ['throws something whose text loops', 'throw { get message() { for (;;); } }', 'ORC_SANDBOX_TIMEOUT'],
    ['rejects with a proxy nobody awaits', 'Promise.reject(new Proxy({}, { get() { for (;;); } })); return 1', ''],
  ]
  for (const [name, body, code] of guests) {
    test(`${name}: its call ends at the deadline, and it is serving again`, async (t) => {
      const { instance, plugin, incidents } = await open(
        t,
        `async decide({ app }) { if (app.name === 'evil') { ${body} } return { replicas: 1, reason: 'fine' } }`,
      )
      const neighbour = await open(t, `decide: () => ({ replicas: 2, reason: 'neighbour' })`)
      const victim = plugin.pid as number
      const startedMs = performance.now()
      const [answer] = await instance.call([item('evil')], decide)
      const tookMs = performance.now() - startedMs
      assert.ok(tookMs < decide.timeoutMs + 400, `${tookMs} ms`)
      if (code !== '') assert.ok(answer !== undefined && !answer.ok && answer.code === code, JSON.stringify(answer))
      const [other] = await neighbour.instance.call([item('x')], decide)
      assert.deepEqual(other, { ok: true, value: { replicas: 2, reason: 'neighbour' } })
      await waitFor(
        async () => {
          const [again] = await instance.call([item('good')], decide)
          return again?.ok
        },
        { timeoutMs: 10_000, what: 'the plugin to serve again' },
      )
      assert.equal(neighbour.plugin.restarts, 0)
      assert.deepEqual(neighbour.incidents, [])
      if (code !== '') {
        assert.equal(incidents[0]?.code, code)
        assert.equal(incidents[0]?.hook, 'scaler')
        await waitFor(() => !isAlive(victim), { what: 'the old process to be gone' })
      }
    })
  }

  test('answers more than it may: only that call fails', async (t) => {
    const { instance, plugin } = await open(
      t,
      `decide: ({ app }) => ({ replicas: 1, reason: 'x'.repeat(app.name === 'big' ? 1e6 : 1) })`,
    )
    const [big] = await instance.call([item('big')], decide)
    assert.ok(big !== undefined && !big.ok)
    assert.match(big.message, /outKb/)
    const [small] = await instance.call([item('small')], decide)
    assert.ok(small?.ok)
    assert.equal(plugin.restarts, 0)
  })

  test('answers in a script of three bytes a letter: it is the bytes that count, and only that call fails', async (t) => {
    const bundle = await bundleGuest(`scaler: {
      async decide({ app, ctx }) {
        const text = '\u4e2d'.repeat(400_000)
        if (app.name === 'answer') return { replicas: 1, reason: text }
        if (app.name === 'later') { await null; return { replicas: 1, reason: text } }
        try { await ctx.kv.put('k', text) } catch (error) { return { replicas: 1, reason: error.message } }
      },
    }`)
    const plugin = await sandbox.load(bundle, { ...limits, outKb: 1_024 })
    t.after(() => plugin.close())
    const onHostCall = async () => 'null'
    const instance = await plugin.open({ name: 'one', configJson: '{}', bindings: { kv: 'kv' }, onHostCall })
    for (const name of ['answer', 'later', 'argument']) {
      const [answer] = await instance.call([item(name)], { ...decide, timeoutMs: 1_000 })
      assert.match(JSON.stringify(answer), /limits\.outKb/, name)
    }
    assert.equal(plugin.restarts, 0)
    assert.equal(plugin.state, 'serving')
  })

  test('is handed more than fits into a frame: the call fails, not the plugin', async (t) => {
    const { instance, plugin } = await open(t, `decide: () => ({ replicas: 1, reason: 'r' })`)
    const [refused] = await instance.call([JSON.stringify('x'.repeat(5_000_000))], decide)
    assert.ok(refused !== undefined && !refused.ok && refused.code === 'ORC_HOOK_OVERLOADED', JSON.stringify(refused))
    const [answer] = await instance.call([item('x')], decide)
    assert.ok(answer?.ok)
    assert.equal(plugin.restarts, 0)
  })

  test('floods the host with calls: it is stopped at its own limit, inside', async (t) => {
    let calls = 0
    const { instance, plugin } = await open(
      t,
      `async decide({ ctx }) { const all = []; for (let i = 0; i < 1e5; i++) all.push(ctx.kv.get('k')); await Promise.all(all) }`,
      {
        bindings: { kv: 'kv' },
        onHostCall: async () => {
          calls += 1
          return String(calls)
        },
      },
    )
    const [answer] = await instance.call([item('x')], decide)
    assert.ok(answer !== undefined && !answer.ok)
    assert.match(answer.message, /more than 20 host calls/)
    assert.ok(calls <= 20, `${calls}`)
    assert.equal(plugin.restarts, 0)
  })

  test('sends the host megabytes of arguments: it is stopped at four of them, inside', async (t) => {
    let characters = 0
    const bundle = await bundleGuest(`scaler: { async decide({ ctx }) {
      const text = 'x'.repeat(500_000)
      for (let n = 0; n < 100; n++) await ctx.kv.put('k', text)
    } }`)
    const plugin = await sandbox.load(bundle, { ...limits, outKb: 1_024, hostCalls: 500 })
    t.after(() => plugin.close())
    const onHostCall: HostCall = async (_operation, args) => {
      characters += args.length
      return 'null'
    }
    const instance = await plugin.open({ name: 'one', configJson: '{}', bindings: { kv: 'kv' }, onHostCall })
    const [answer] = await instance.call([item('x')], { ...decide, timeoutMs: 2_000 })
    assert.match(JSON.stringify(answer), /more arguments in one call/)
    assert.ok(characters <= 4 * 1024 * 1024, `${characters}`)
    assert.equal(plugin.restarts, 0)
  })

  test('acts after its call is over: refused', async (t) => {
    const operations: string[] = []
    const { instance } = await open(
      t,
      `async decide({ app, ctx }) {
        if (app.name === 'leave') { ctx.kv.get('first').then(() => ctx.kv.get('late')).catch(() => {}); return { replicas: 1, reason: 'gone' } }
        await ctx.kv.get('slow')
        return { replicas: 1, reason: 'here' }
      }`,
      {
        bindings: { kv: 'kv' },
        onHostCall: async (_operation, args) => {
          operations.push(args)
          if (args === '["first"]') await new Promise((resolve) => setTimeout(resolve, 60))
          return '1'
        },
      },
    )
    await instance.call([item('leave')], decide)
    await new Promise((resolve) => setTimeout(resolve, 120))
    await instance.call([item('stay')], decide)
    assert.deepEqual(operations, ['["first"]', '["slow"]'])
  })

  test('leaks slowly: its isolate is replaced between calls, before it reaches its limit', async (t) => {
    const { instance, plugin } = await open(
      t,
      `decide() { globalThis.kept ??= new Map(); for (let i = 0; i < 20_000; i++) globalThis.kept.set(globalThis.kept.size, 'v' + i); return { replicas: globalThis.kept.size, reason: 'r' } }`,
    )
    let isRecycled = false
    let last = 0
    await waitFor(
      async () => {
        const [answer] = await instance.call([item('x')], decide)
        const size = answer?.ok ? (answer.value as { replicas: number }).replicas : 0
        if (answer?.ok && size < last) isRecycled = true
        last = size
        return isRecycled
      },
      { timeoutMs: 15_000, everyMs: 20, what: 'the leaking isolate to be replaced' },
    )
    assert.equal(plugin.restarts, 0, 'no process had to die for it')
  })
})

describe('a sandbox process that is killed', () => {
  test('is replaced; calls under way fail once, calls that come later are answered', async (t) => {
    const { instance, plugin, incidents } = await open(
      t,
      `async decide({ app, ctx }) { if (app.name === 'slow') await ctx.kv.get('slow'); return { replicas: 1, reason: app.name } }`,
      { bindings: { kv: 'kv' }, onHostCall: () => new Promise((resolve) => setTimeout(() => resolve('1'), 200)) },
    )
    await instance.call([item('warm')], decide)
    let settled = 0
    const underWay = instance.call([item('slow')], { ...decide, timeoutMs: 2_000 }).then((answer) => {
      settled += 1
      return answer
    })
    await new Promise((resolve) => setTimeout(resolve, 30))
    const killed = plugin.pid as number
    process.kill(killed, 'SIGKILL')
    const startedMs = performance.now()
    const [failed] = await underWay
    assert.ok(failed !== undefined && !failed.ok)
    assert.equal(failed.code, 'ORC_SANDBOX_CRASHED')
    const [later] = await instance.call([item('later')], { ...decide, timeoutMs: 2_000 })
    t.diagnostic(`serving again ${Math.round(performance.now() - startedMs)} ms after the kill`)
    assert.deepEqual(later, { ok: true, value: { replicas: 1, reason: 'later' } })
    assert.equal(settled, 1)
    assert.notEqual(plugin.pid, killed)
    assert.match(incidents[0]?.message ?? '', /SIGKILL/)
  })

  test('five times in ten minutes puts the plugin in quarantine until it is reset', async (t) => {
    const { instance, plugin, incidents } = await open(t, `decide: () => ({ replicas: 1, reason: 'r' })`)
    for (let death = 0; death < 5; death += 1) {
      const pid = await waitFor(() => (plugin.state === 'serving' ? plugin.pid : undefined), { timeoutMs: 10_000 })
      const told = incidents.length
      process.kill(pid, 'SIGKILL')
      await waitFor(() => incidents.length > told, { what: 'the death to be told' })
    }
    assert.equal(plugin.state, 'quarantined')
    const [refused] = await instance.call([item('x')], decide)
    assert.ok(refused !== undefined && !refused.ok && refused.code === 'ORC_HOOK_NOT_SERVING', JSON.stringify(refused))
    assert.match(incidents.at(-1)?.message ?? '', /plugin reset/)
    await plugin.reset()
    const [again] = await instance.call([item('x')], decide)
    assert.ok(again?.ok)
  })

  test('when the host ends, every sandbox process ends with it, also with a guest that cannot be stopped', async (t) => {
    if (process.platform !== 'linux') return t.skip('reads /proc, which only Linux has')
    const { spawn } = await import('node:child_process')
    const child = spawn(
      process.execPath,
      ['--conditions=@orchestry/source', fileURLToPath(new URL('./host-with-guest.ts', import.meta.url))],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const pid = await new Promise<number>((resolve) => child.stdout.once('data', (text) => resolve(Number(text))))
    assert.ok(isAlive(pid))
    child.kill('SIGKILL')
    await waitFor(() => !isAlive(pid) || readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z '), {
      what: 'the orphaned sandbox process to end',
    })
  })
})

test('a timer acts in the name of its own call, and only while that lasts', async (t) => {
  const operations: string[] = []
  const { instance, plugin } = await open(t, `decide: () => ({ replicas: 1, reason: 'r' })`, {
    more: `async activate(ctx) {
      await ctx.timers.every(100, async () => { await ctx.kv.get('fired'); await ctx.kv.get('again') })
    }`,
    bindings: { kv: 'kv', timers: 'timers' },
    onHostCall: async (operation, args, { hook }) => {
      operations.push(`${hook} ${operation} ${args}`)
      return '"t1"'
    },
  })
  const fire = { ...decide, hook: 'timers', function: 'fire', per: 'call' } as const
  for (let turn = 0; turn < 2; turn += 1) {
    const [answer] = await instance.call(['"t1"'], fire)
    assert.ok(answer?.ok, JSON.stringify(answer))
  }
  const one = ['timers kv.get ["fired"]', 'timers kv.get ["again"]']
  assert.deepEqual(operations, ['activate timers.every [100]', ...one, ...one])
  assert.equal(plugin.restarts, 0)
})

describe('a plugin whose process or isolate is replaced', () => {
  const leak = 'globalThis.kept ??= []; for (let i = 0; i < 450_000; i++) globalThis.kept.push({ i })'

  test('never gets an answer that the isolate before it asked for', async (t) => {
    const slow = Promise.withResolvers<void>()
    const { instance, plugin } = await open(
      t,
      `async decide({ app, ctx }) {
        if (app.name === 'leave') { void ctx.kv.get('old'); ${leak}; return { replicas: 1, reason: 'left' } }
        return { replicas: 1, reason: globalThis.kept === undefined ? await ctx.kv.get('new') : 'not replaced' }
      }`,
      {
        bindings: { kv: 'kv' },
        async onHostCall(_operation, args) {
          if (args === '["old"]') await slow.promise
          else setTimeout(slow.resolve, 20)
          if (args === '["new"]') await new Promise((resolve) => setTimeout(resolve, 120))
          return args
        },
      },
    )
    await instance.call([item('leave')], { ...decide, timeoutMs: 2_000 })
    const answer = await waitFor(
      async () => {
        const [given] = await instance.call([item('ask')], { ...decide, timeoutMs: 2_000 })
        return given?.ok && (given.value as { reason: unknown }).reason !== 'not replaced' ? given.value : undefined
      },
      { timeoutMs: 10_000, everyMs: 20, what: 'the isolate to be replaced' },
    )
    assert.deepEqual(answer, { replicas: 1, reason: ['new'] })
    assert.equal(plugin.restarts, 0)
  })

  test('gets a new process when its new isolate does not come up', async (t) => {
    let activations = 0
    const { instance, plugin, incidents } = await open(
      t,
      `decide({ app }) { if (app.name === 'leak') { ${leak} } return { replicas: 1, reason: 'r' } }`,
      {
        more: `async activate(ctx) { if ((await ctx.kv.get('turn')) === 2) throw new Error('not this time') }`,
        bindings: { kv: 'kv' },
        onHostCall: async () => {
          activations += 1
          return String(activations)
        },
      },
    )
    await instance.call([item('leak')], { ...decide, timeoutMs: 2_000 })
    await waitFor(() => plugin.restarts === 1 && plugin.state === 'serving', { timeoutMs: 10_000, what: 'a restart' })
    assert.match(incidents[0]?.message ?? '', /not this time/)
    const [answer] = await instance.call([item('x')], decide)
    assert.ok(answer?.ok, JSON.stringify(answer))
  })

  test('that dies while it restarts has died once, not twice', async (t) => {
    let activations = 0
    const { plugin } = await open(t, `decide: () => ({ replicas: 1, reason: 'r' })`, {
      more: `async activate(ctx) { await ctx.kv.get('turn') }`,
      bindings: { kv: 'kv' },
      async onHostCall() {
        activations += 1
        if (activations > 1 && plugin.pid !== undefined) process.kill(plugin.pid, 'SIGKILL')
        return '1'
      },
    })
    process.kill(plugin.pid as number, 'SIGKILL')
    await waitFor(() => plugin.state === 'quarantined', { timeoutMs: 15_000, what: 'the quarantine' })
    assert.equal(plugin.restarts, 4, 'the fifth death is the last')
  })

  test('and closed meanwhile leaves no process, and runs nothing more', async (t) => {
    let activations = 0
    const { plugin, instance } = await open(t, `decide: () => ({ replicas: 1, reason: 'r' })`, {
      more: `async activate(ctx) { await ctx.kv.get('turn') }, dispose() { for (;;); }`,
      bindings: { kv: 'kv' },
      onHostCall: async () => {
        activations += 1
        return String(activations)
      },
    })
    const pid = plugin.pid as number
    await plugin.close()
    await waitFor(() => !isAlive(pid), { what: 'a process whose dispose never ends to be killed' })
    assert.equal(plugin.restarts, 0)
    assert.equal(activations, 1)
    const [late] = await instance.call([item('x')], decide)
    assert.ok(late !== undefined && !late.ok && late.code === 'ORC_HOOK_NOT_SERVING')
    await assert.rejects(plugin.describe(), { code: 'ORC_HOOK_NOT_SERVING' })
    assert.equal(plugin.pid, undefined)
  })
})

describe('a plugin that cannot start', () => {
  const broken: [string, string, RegExp][] = [
    ['throws at its top level', `scaler: (() => { throw new Error('top level') })()`, /top level/],
    ['loops at its top level', `scaler: (() => { for (;;); })()`, /deadline/],
    ['throws in activate', `activate() { throw new Error('no luck') }`, /no luck/],
    ['hangs in activate', `activate: () => new Promise(() => {})`, /deadline/],
  ]
  for (const [name, body, text] of broken) {
    test(`${name}: says so, and is not restarted in a loop`, async (t) => {
      const quick = { ...limits, startMs: 400 }
      const plugin = await sandbox.load(await bundleGuest(body), quick)
      t.after(() => plugin.close())
      const options = { name: 'one', configJson: '{}', bindings: {}, onHostCall: async () => 'null' }
      await assert.rejects(plugin.open(options), (error: OrchestryError) => {
        assert.equal(error.code, 'ORC_PLUGIN_ACTIVATE_FAILED')
        assert.match(error.message, text)
        return true
      })
      assert.equal(plugin.restarts, 0)
    })
  }
})
