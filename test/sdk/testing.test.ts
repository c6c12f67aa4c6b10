/** The harness that authors get: it must refuse what the host refuses, by the same codes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { definePlugin, type HookInput, Type, type Vote } from '../../sdk/index.ts'
import { checkConfig, createHarness, type HarnessOptions, PluginFailure } from '../../sdk/testing.ts'

const queue = definePlugin({
  config: Type.Object({ jobsPerReplica: Type.Number({ minimum: 1, default: 50 }) }, { additionalProperties: false }),
  validateConfig: (config) => (config.jobsPerReplica === 13 ? ['jobsPerReplica must not be 13'] : []),
  scaler: {
    metrics: ['queueDepth'],
    decide({ metrics, config, hold }) {
      const depth = metrics.queueDepth?.last
      if (depth == null) return hold('no fresh sample')
      return { replicas: Math.ceil(depth / config.jobsPerReplica), reason: `${depth} jobs` }
    },
  },
})

/** A scaler that answers whatever the test wants, whether it fits or not. */
const answering = (answer: () => unknown) => definePlugin({ scaler: { decide: () => answer() as Vote } })
const isFailure = (code: string, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof PluginFailure, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, words)
  return true
}

describe('a harness', () => {
  it('asks a scaler as the host does', async () => {
    const harness = createHarness(queue, { config: { jobsPerReplica: 10 } })
    assert.deepEqual(await harness.decide({ metrics: { queueDepth: 95 } }), { replicas: 10, reason: '95 jobs' })
    assert.deepEqual(await harness.decide({}), { hold: true, reason: 'no fresh sample' })
  })
  it('gives each item of a batch its own outcome', async () => {
    const harness = createHarness(
      definePlugin({
        scaler: {
          decide({ app }) {
            if (app.name === 'bad') throw new RangeError('this app is bad')
            return { replicas: app.replicas, reason: app.name }
          },
        },
      }),
    )
    const names = ['a', 'bad', 'c']
    const outcomes = await harness.decideBatch(names.map((name) => ({ app: { name } })))
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.ok ? 'ok' : `${outcome.failure.code} ${outcome.failure.message}`)),
      ['ok', 'ORC_SANDBOX_GUEST_ERROR RangeError: this app is bad', 'ok'],
    )
  })
  it('lets decideAll stand in for decide, and wants one vote for each app', async () => {
    const all = (cut: number) =>
      createHarness(
        definePlugin({
          scaler: { decideAll: (inputs) => inputs.slice(cut).map(({ app }) => ({ replicas: 2, reason: app.name })) },
        }),
      )
    const inputs = [{ app: { name: 'a' } }, { app: { name: 'b' } }]
    assert.deepEqual(
      (await all(0).decideBatch(inputs)).map(
        (outcome) => outcome.ok && 'replicas' in outcome.value && outcome.value.reason,
      ),
      ['a', 'b'],
    )
    for (const outcome of await all(1).decideBatch(inputs)) {
      assert.ok(!outcome.ok && outcome.failure.code === 'ORC_HOOK_OUTPUT_INVALID')
    }
  })
})

describe('a failure is booked as the host would', () => {
  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic
  const table: [string, () => unknown, string, RegExp, HarnessOptions?][] = [
    [
      'a throw',
      () => {
        throw new TypeError('no')
      },
      'ORC_SANDBOX_GUEST_ERROR',
      /^TypeError: no$/,
    ],
    ['a rejection', () => Promise.reject(new Error('later')), 'ORC_SANDBOX_GUEST_ERROR', /^Error: later$/],
    [
      'something thrown that is no error',
      () => {
        throw 'words'
      },
      'ORC_SANDBOX_GUEST_ERROR',
      /^words$/,
    ],
    [
      'a promise that never settles',
      () => new Promise(() => {}),
      'ORC_SANDBOX_TIMEOUT',
      /within 20 ms/,
      { timeoutMs: 20 },
    ],
    ['an answer that no JSON can say', () => cyclic, 'ORC_SANDBOX_GUEST_ERROR', /circular/i],
    [
      'an answer that is too large',
      () => ({ replicas: 1, reason: 'x'.repeat(2000) }),
      'ORC_SANDBOX_RESULT_TOO_LARGE',
      /more than/,
      { outKb: 1 },
    ],
    ['nothing', () => undefined, 'ORC_HOOK_OUTPUT_INVALID', /scaler\.decide answered null/],
    ['a NaN', () => ({ replicas: Number.NaN, reason: 'r' }), 'ORC_HOOK_OUTPUT_INVALID', /"replicas":null/],
    ['half a replica', () => ({ replicas: 1.5, reason: 'r' }), 'ORC_HOOK_OUTPUT_INVALID', /1\.5/],
    ['no reason', () => ({ replicas: 1 }), 'ORC_HOOK_OUTPUT_INVALID', /replicas/],
    ['two opinions at once', () => ({ replicas: 1, floor: 2, reason: 'r' }), 'ORC_HOOK_OUTPUT_INVALID', /floor/],
  ]
  for (const [name, answer, code, words, options] of table) {
    it(name, () => assert.rejects(createHarness(answering(answer), options).decide({}), isFailure(code, words)))
  }

  it('a hook that is not there', () =>
    assert.rejects(
      createHarness(queue).call('eventHandler', 'handle', {
        id: '1',
        type: 'app.scaled',
        atMs: 0,
        source: 's',
        data: {},
      }),
      isFailure('ORC_HOOK_NOT_OFFERED', /does not serve eventHandler\.handle; it serves nothing of it/),
    ))
  it('an activate that throws', () => {
    const plugin = definePlugin({
      activate() {
        throw new Error('no config server')
      },
      scaler: { decide: ({ hold }) => hold('') },
    })
    return assert.rejects(createHarness(plugin).decide({}), isFailure('ORC_PLUGIN_ACTIVATE_FAILED', /no config server/))
  })
  it('one late item takes its whole batch with it', async () => {
    const plugin = definePlugin({
      scaler: {
        decide: ({ app }) => (app.name === 'late' ? new Promise<Vote>(() => {}) : { replicas: 1, reason: 'r' }),
      },
    })
    const outcomes = await createHarness(plugin, { timeoutMs: 20 }).decideBatch([{}, { app: { name: 'late' } }])
    assert.ok(outcomes.every((outcome) => !outcome.ok && outcome.failure.code === 'ORC_SANDBOX_TIMEOUT'))
  })
  it('an input that the host would never send is a mistake of the test', () =>
    assert.rejects(createHarness(queue).decide({ app: { replicas: -1 } }), TypeError))
})

describe('config', () => {
  it('is filled in from the schema and cannot be changed by the plugin', async () => {
    const harness = createHarness(queue)
    assert.deepEqual(harness.config, { jobsPerReplica: 50 })
    assert.throws(() => Object.assign(harness.config, { jobsPerReplica: 1 }), TypeError)
  })
  it('is refused with every fault', () => {
    assert.throws(
      () => createHarness(queue, { config: { jobsPerReplica: 0, jobs: 1 } }),
      (error: PluginFailure) => {
        assert.equal(error.code, 'ORC_PLUGIN_CONFIG_INVALID')
        assert.equal(error.problems.length, 2, error.problems.join(' | '))
        return true
      },
    )
  })
  it('is shown to validateConfig only when it fits its schema', () => {
    assert.deepEqual(checkConfig(queue, { jobsPerReplica: 13 }).problems, ['jobsPerReplica must not be 13'])
    assert.deepEqual(checkConfig(queue, { jobsPerReplica: 14 }).problems, [])
  })
  it('must be empty when the plugin takes none', () => {
    const plain = answering(() => null)
    assert.deepEqual(checkConfig(plain, {}).problems, [])
    assert.equal(checkConfig(plain, { a: 1 }).problems.length, 1)
  })
})

describe('ctx', () => {
  const probe = (run: (tools: { ctx: import('../../sdk/index.ts').Context }) => unknown) =>
    definePlugin({
      eventHandler: {
        handle: async (_event, tools) => {
          await run(tools)
        },
      },
    })
  const event: HookInput<'eventHandler', 'handle'> = { id: '1', type: 'app.scaled', atMs: 0, source: 'test', data: {} }
  const play = async (options: HarnessOptions, run: Parameters<typeof probe>[0]) => {
    const harness = createHarness(probe(run), options)
    await harness.call('eventHandler', 'handle', event)
    return harness
  }

  it('holds what was granted and nothing else', async () => {
    await play({ grants: { kv: true }, instance: 'blue' }, ({ ctx }) => {
      assert.deepEqual([ctx.has('kv'), ctx.has('net'), ctx.instance], [true, false, 'blue'])
    })
    await assert.rejects(
      play({}, ({ ctx }) => ctx.kv.get('x')),
      isFailure(
        'ORC_SANDBOX_GUEST_ERROR',
        /ctx\.kv was not granted: add \{ "kind": "kv" \} to orchestry\.capabilities/,
      ),
    )
  })
  it('answers requests from fixtures, records them, and refuses the rest', async () => {
    const { requests } = await play(
      { grants: { net: { 'http://a/': { status: 201, body: 'hi' }, 'http://b/': new Error('refused') } } },
      async ({ ctx }) => {
        assert.deepEqual(await ctx.net.fetch('http://a/'), { status: 201, body: 'hi', headers: {}, durationMs: 1 })
        const outcomes = await ctx.net.fetchAll([{ url: 'http://a/' }, { url: 'http://b/' }, { url: 'http://c/' }])
        assert.deepEqual(
          outcomes.map((outcome) => (outcome.ok ? outcome.response.status : outcome.code)),
          [201, 'ORC_NET_UNREACHABLE', 'ORC_CAPABILITY_DENIED'],
        )
      },
    )
    assert.equal(requests.length, 4)
  })
  it('answers requests by a function', async () => {
    await play({ grants: { net: ({ method = 'GET' }) => ({ body: method }) } }, async ({ ctx }) => {
      assert.equal((await ctx.net.fetch({ url: 'http://x/', method: 'POST' })).body, 'POST')
    })
  })
  it('answers commands of Redis and calls of gRPC from fixtures, and refuses the rest', async () => {
    const health = 'a:1/grpc.health.v1.Health/Check'
    const redis = { 'LLEN queue:jobs': 3, 'GET queue:none': null, 'GET queue:down': new Error('refused') }
    const grpc = { [health]: { message: { status: 'NOT_SERVING' } }, 'b:1/grpc.health.v1.Health/Check': { status: 12 } }
    await play({ grants: { redis, grpc } }, async ({ ctx }) => {
      assert.equal(await ctx.redis.command('llen', 'queue:jobs'), 3)
      const replies = await ctx.redis.pipeline([
        ['GET', 'queue:none'],
        ['GET', 'queue:down'],
        ['DEL', 'x'],
      ])
      assert.deepEqual(
        replies.map((one) => (one.ok ? one.reply : one.code)),
        [null, 'ORC_NET_UNREACHABLE', 'ORC_CAPABILITY_DENIED'],
      )
      const checks = await ctx.grpc.checkAll([{ target: 'a:1' }, { target: 'b:1' }, { target: 'c:1' }])
      assert.deepEqual(
        checks.map((one) => (one.ok ? one.health : [one.status, one.code])),
        ['NOT_SERVING', [12, 'ORC_CAPABILITY_FAILED'], [7, 'ORC_CAPABILITY_DENIED']],
      )
    })
    await play({ grants: { redis: (name, key) => `${name} ${key}` } }, async ({ ctx }) => {
      assert.equal(await ctx.redis.command('GET', 'a'), 'GET a')
    })
  })
  it('answers what is sent to sockets from fixtures, whole or piece by piece, and refuses the rest', async () => {
    const unix = { '/run/a.sock': 'up 3\n', '/run/b.sock': new Error('refused') }
    const tcp = ({ target, send = '' }: { target: string; send?: string }) =>
      target === 'db.test:1' ? { data: `+${send}`, isEnd: send === 'QUIT' } : undefined
    await play({ grants: { tcp, unix } }, async ({ ctx }) => {
      const outcomes = await ctx.unix.exchangeAll(
        ['/run/a.sock', '/run/b.sock', '/run/c.sock'].map((target) => ({ target, send: 'show\n' })),
      )
      assert.deepEqual(
        outcomes.map((one) => (one.ok ? one.response.data : one.code)),
        ['up 3\n', 'ORC_NET_UNREACHABLE', 'ORC_CAPABILITY_DENIED'],
      )
      assert.equal((await ctx.tcp.exchange({ target: 'db.test:1' })).data, '')
      const connection = await ctx.tcp.open('db.test:1')
      await ctx.tcp.write(connection, 'QU')
      await ctx.tcp.write(connection, 'IT')
      assert.deepEqual(await ctx.tcp.read(connection), { data: '+QUIT', isEnd: true })
      await ctx.tcp.close(connection)
      await assert.rejects(ctx.tcp.read(connection), { code: 'ORC_CAPABILITY_ARGUMENT' })
      await assert.rejects(ctx.tcp.open('other.test:1'), { code: 'ORC_CAPABILITY_DENIED' })
    })
  })
  it('gives a binding the name that the manifest would', async () => {
    await play({ grants: { net: () => ({}) }, as: { slack: 'net' } }, async ({ ctx }) => {
      assert.deepEqual([ctx.has('slack'), ctx.has('net')], [true, false])
      assert.equal((await ctx.slack.fetch('http://x/')).status, 200)
    })
  })
  it('keeps values as JSON would, apart from what the plugin holds', async () => {
    const { kv } = await play({ grants: { kv: { seen: 1 } } }, async ({ ctx }) => {
      const value = { list: [1], gone: undefined }
      await ctx.kv.put('mine', value)
      value.list.push(2)
      assert.deepEqual(await ctx.kv.get('mine'), { list: [1] })
      assert.equal(await ctx.kv.get('nothing'), null)
      assert.deepEqual(await ctx.kv.list('se'), [{ key: 'seen', value: 1 }])
      await ctx.kv.delete('seen')
    })
    assert.deepEqual([...kv], [['mine', { list: [1] }]])
  })
  it('records logs, events, samples, sizes and upstreams', async () => {
    const upstream = { app: 'shop', generation: 3, route: { path: '/' }, endpoints: [], draining: [] }
    const recorded = await play(
      { grants: { log: true, events: true, metrics: true, apps: [], proxy: true } },
      async ({ ctx }) => {
        ctx.log.warn('careful', { at: 1 })
        await ctx.events.emit('mine.happened', { a: 1 }, 'shop')
        await ctx.metrics.emit([{ app: 'shop', metric: 'jobs', value: 2 }])
        await ctx.apps.scale('shop', 4, 'because')
        await ctx.proxy.apply(upstream)
        assert.equal((await ctx.proxy.status('shop'))?.generation, 3)
        assert.equal(await ctx.apps.get('nobody'), null)
      },
    )
    assert.deepEqual(recorded.logs, [{ level: 'warn', message: 'careful', fields: { at: 1 } }])
    assert.deepEqual(recorded.events, [{ type: 'mine.happened', data: { a: 1 }, app: 'shop' }])
    assert.deepEqual(recorded.samples, [{ app: 'shop', metric: 'jobs', value: 2 }])
    assert.deepEqual(recorded.scaled, [{ app: 'shop', replicas: 4, reason: 'because' }])
    assert.deepEqual([...recorded.upstreams.keys()], ['shop'])
  })
  it('draws the same numbers from the same seed', async () => {
    const draw = async (seed: number) => {
      const numbers: number[] = []
      await play({ grants: { random: seed } }, ({ ctx }) => numbers.push(ctx.random.next(), ctx.random.next()))
      return numbers
    }
    assert.deepEqual(await draw(7), await draw(7))
    assert.notDeepEqual(await draw(7), await draw(8))
    assert.ok((await draw(7)).every((number) => number >= 0 && number < 1))
  })
  it('runs timers when the clock of the test moves, and not after dispose is done with them', async () => {
    const ran: number[] = []
    let id = ''
    const plugin = definePlugin({
      async activate(ctx) {
        id = await ctx.timers.every(1000, () => void ran.push(ctx.clock.now()))
        await ctx.timers.after(2500, () => void ran.push(-1))
      },
      dispose: (ctx) => ctx.timers.cancel(id),
      scaler: { decide: ({ hold }) => hold('x') },
    })
    const harness = createHarness(plugin, { grants: { timers: true, clock: true }, nowMs: 0 })
    await harness.activate()
    await harness.advance(3000)
    assert.deepEqual(ran, [1000, 2000, -1, 3000])
    assert.equal(harness.now(), 3000)
    await harness.dispose()
    await harness.advance(3000)
    assert.equal(ran.length, 4)
  })
})
