/** One plugin for each class of attack, as an operator might install it, and exactly what is to be seen of it. */
import type { Attacker } from '../support/attack-stage.ts'

export interface Attack extends Attacker {
  /** The class of attack in words. */
  readonly title: string
  /** What the guest itself is told, as the reason of its hold. */
  readonly told?: RegExp
  /** The code of the error vote that the host makes of it. */
  readonly error?: RegExp
  /** The code of the incident that names the plugin. */
  readonly incident?: RegExp
  /** What `plugin install` says instead of installing it. */
  readonly refused?: RegExp
  /** Whether the process that it had must be gone. */
  readonly isKilled?: boolean
}

/** Places that only exist once the test runs. */
export interface Targets {
  /** A listener on loopback that no grant covers. */
  readonly forbiddenPort: number
  /** A listener on loopback that the grants name. */
  readonly grantedPort: number
  /** A directory that may be granted, and a file outside it. */
  readonly dir: string
  readonly foreignFile: string
  /** A real Redis and a real gRPC server that the grants name. */
  readonly redisPort: number
  readonly grpcPort: number
}

const why = 'it says'

export function attacksOn(targets: Targets): Attack[] {
  const { forbiddenPort, grantedPort, dir, foreignFile, redisPort, grpcPort } = targets
  const loopback = {
    kind: 'net',
    hosts: ['127.0.0.1'],
    schemes: ['http'],
    ports: [grantedPort],
    methods: ['GET'],
    addresses: ['loopback'],
    why,
  }
  const granted = `http://127.0.0.1:${grantedPort}`
  return [
    {
      name: 'ssrf',
      title: 'reaches for loopback and metadata services in every spelling',
      capabilities: [
        {
          ...loopback,
          ports: [forbiddenPort, 80],
          hosts: ['*.internal.test', '127.0.0.1', '169.254.169.254'],
          addresses: ['public'],
        },
      ],
      body: `const codes = new Set()
        for (const host of ['127.0.0.1', '127.1', '0x7f.1', '2130706433', '127.0.0.1.', '１２７.0.0.1'])
          codes.add(await tell(() => ctx.net.fetch('http://' + host + ':${forbiddenPort}/')))
        codes.add(await tell(() => ctx.net.fetch('http://169.254.169.254/latest/meta-data/')))
        return [...codes].sort().join(' ')`,
      told: /^ORC_NET_BLOCKED_ADDRESS$/,
      incident: /ORC_CAPABILITY_DENIED|ORC_NET_BLOCKED_ADDRESS/,
    },
    {
      name: 'ungranted-host',
      title: 'calls a host that looks like the granted one',
      capabilities: [{ ...loopback, hosts: ['api.good.test'], addresses: ['public'] }],
      body: `const codes = new Set()
        for (const url of ['http://api.good.test.evil.test/', 'http://api.good.test@evil.test/', 'http://evil.test#api.good.test'])
          codes.add(await tell(() => ctx.net.fetch(url)))
        return [...codes].join(' ')`,
      told: /^ORC_CAPABILITY_DENIED$/,
      incident: /ORC_CAPABILITY_DENIED/,
    },
    {
      name: 'smuggler',
      title: 'smuggles headers',
      capabilities: [loopback],
      body: `const codes = new Set()
        for (const headers of [{ 'x-a': 'b\\r\\nx-evil: 1' }, { host: 'evil.test' }, { te: 'trailers', 'content-length': '5' }, { 'x-forwarded-for': '1.2.3.4' }])
          codes.add(await tell(() => ctx.net.fetch({ url: '${granted}/echo', headers })))
        return [...codes].join(' ')`,
      told: /^ORC_CAPABILITY_ARGUMENT$/,
    },
    {
      name: 'bombed',
      title: 'fetches a compression bomb, a header bomb and a body without end',
      capabilities: [loopback],
      limits: { timeoutMs: 3_000 },
      body: `const codes = []
        for (const path of ['/gzip-bomb', '/header-bomb', '/endless'])
          codes.push(await tell(() => ctx.net.fetch({ url: '${granted}' + path, timeoutMs: 800 })))
        return codes.join(' ')`,
      told: /^ORC_CAPABILITY_LIMIT ORC_CAPABILITY_LIMIT (ORC_CAPABILITY_LIMIT|ORC_NET_TIMEOUT)$/,
    },
    {
      name: 'redirected',
      title: 'is redirected to where it may not go',
      capabilities: [{ ...loopback, redirects: 3 }],
      body: `const codes = new Set()
        for (const path of ['/to-forbidden', '/to-file', '/for-ever'])
          codes.add(await tell(() => ctx.net.fetch('${granted}' + path)))
        return [...codes].join(' ')`,
      told: /^ORC_NET_REDIRECT_DENIED$/,
    },
    {
      name: 'many-requests',
      title: 'sends thousands of requests at once',
      capabilities: [loopback],
      limits: { timeoutMs: 3_000 },
      body: `const outcomes = await ctx.net.fetchAll(Array.from({ length: 2000 }, () => ({ url: '${granted}/slow' })))
        return outcomes.some((one) => one.code === 'ORC_CAPABILITY_LIMIT') ? 'limited' : 'all were sent'`,
      told: /^limited$/,
    },
    {
      name: 'file-walker',
      title: 'walks out of its directory',
      capabilities: [{ kind: 'files', roots: [{ name: 'data', path: dir, read: ['**'], write: ['out/*'] }], why }],
      body: `const codes = new Set()
        for (const path of ['../${foreignFile.split('/').pop()}', '${foreignFile}', 'link', 'a/../../x', 'a\\0b', '//', 'out/../../x'])
          codes.add(await tell(() => ctx.files.read('data', path)))
        codes.add(await tell(() => ctx.files.write('data', 'elsewhere', 'x')))
        return [...codes].join(' ')`,
      told: /^ORC_CAPABILITY_(DENIED|ARGUMENT)( ORC_CAPABILITY_(DENIED|ARGUMENT))?$/,
      incident: /ORC_CAPABILITY_DENIED/,
    },
    {
      name: 'proc-reader',
      title: 'asks for the processes of this machine as files',
      capabilities: [{ kind: 'files', roots: [{ name: 'proc', path: '/proc/self', read: ['*'] }], why }],
      body: `return 'never'`,
      refused: /\/proc/,
    },
    {
      name: 'argument-injector',
      title: 'puts shell words and options into the holes of a command',
      capabilities: [
        { kind: 'exec', commands: [{ name: 'echo', path: '/usr/bin/echo', args: ['{word:token}'] }], why },
      ],
      body: `const codes = new Set()
        for (const word of ['-oProxyCommand=x', '--', ';id', '$(id)', 'a\\nb', '\`id\`'])
          codes.add(await tell(() => ctx.exec.run('echo', { word })))
        codes.add(await tell(() => ctx.exec.run('echo', { word: 'fine', LD_PRELOAD: 'x' })))
        return [...codes].join(' ')`,
      told: /^ORC_CAPABILITY_ARGUMENT$/,
    },
    {
      name: 'own-program',
      title: 'asks to write what it may run',
      capabilities: [
        { kind: 'files', roots: [{ name: 'data', path: dir, write: ['**'] }], why },
        { kind: 'exec', commands: [{ name: 'mine', path: `${dir}/tool` }], why },
      ],
      body: `return 'never'`,
      refused: /overlap|writ/i,
    },
    {
      name: 'docker-socket',
      title: 'asks for the socket of the container runtime',
      capabilities: [{ kind: 'unix', paths: ['/var/run/docker.sock'], why }],
      body: `return 'never'`,
      refused: /docker/,
    },
    {
      name: 'redis-script',
      title: 'sends Redis what was not granted',
      capabilities: [
        {
          kind: 'redis',
          url: `redis://127.0.0.1:${redisPort}`,
          addresses: ['loopback'],
          commands: ['GET', 'SET'],
          keys: ['mine:'],
          why,
        },
      ],
      body: `const codes = new Set()
        for (const command of [['EVAL', 'return 1', '0'], ['cOnFiG', 'SET', 'dir', '/tmp'], ['MODULE', 'LOAD', 'x'], ['GET', 'theirs:1'], ['MIGRATE', 'h', '1', 'k', '0', '1'], ['FLUSHALL']])
          codes.add(await tell(() => ctx.redis.command(...command)))
        return [...codes].join(' ') + ' ' + (await ctx.redis.command('SET', 'mine:1', 'x'))`,
      told: /^ORC_CAPABILITY_DENIED OK$/,
      incident: /ORC_CAPABILITY_DENIED/,
    },
    {
      name: 'grpc-caller',
      title: 'calls a gRPC method that was not granted, with metadata of its own',
      capabilities: [
        {
          kind: 'grpc',
          targets: [`127.0.0.1:${grpcPort}`],
          addresses: ['loopback'],
          methods: ['grpc.health.v1.Health/Check'],
          why,
        },
      ],
      body: `const target = '127.0.0.1:${grpcPort}'
        const codes = [
          await tell(() => ctx.grpc.unary({ target, method: 'grpc.reflection.v1.ServerReflection/ServerReflectionInfo' })),
          await tell(() => ctx.grpc.unary({ target, method: 'grpc.health.v1.Health/Check', metadata: { authorization: 'mine' } })),
        ]
        const [outcome] = await ctx.grpc.checkAll([{ target }])
        return codes.map((code) => typeof code === 'string' ? code : 'sent').join(' ') + ' ' + outcome.health`,
      told: /^ORC_CAPABILITY_DENIED ORC_CAPABILITY_(DENIED|ARGUMENT) SERVING$/,
      incident: /ORC_CAPABILITY_DENIED/,
    },
    {
      name: 'install-script',
      title: 'has scripts that npm would run',
      packageJson: {
        scripts: Object.fromEntries(
          ['preinstall', 'install', 'postinstall', 'prepare'].map((name) => [name, `touch ${dir}/canary`]),
        ),
      },
      body: `return 'installed without them'`,
      told: /^installed without them$/,
    },
    {
      name: 'secret-reader',
      title: 'reads a secret that was not granted',
      capabilities: [{ kind: 'secrets', names: ['mine'], mode: 'reveal', why }],
      body: `const codes = new Set()
        for (const name of ['theirs', 'mine/../theirs', 'missing', 'min']) codes.add(await tell(() => ctx.secrets.get(name)))
        return [...codes].join(' ')`,
      told: /^ORC_CAPABILITY_DENIED$/,
      incident: /ORC_CAPABILITY_DENIED/,
    },
    {
      name: 'hoarder',
      title: 'fills its map beyond the quota',
      capabilities: [{ kind: 'kv', quotaKb: 64, maxValueKb: 64 }],
      body: `const codes = new Set()
        await Promise.all(Array.from({ length: 100 }, async (_, index) => codes.add(await tell(() => ctx.kv.put('k' + index, 'x'.repeat(4000))))))
        const kept = (await ctx.kv.list()).reduce((sum, { value }) => sum + value.length, 0)
        return codes.has('ORC_CAPABILITY_LIMIT') && kept <= 64 * 1024 ? 'kept within the quota' : 'kept ' + kept`,
      told: /^kept within the quota$/,
    },
    {
      name: 'shouter',
      title: 'floods the log, with terminal controls',
      capabilities: [{ kind: 'log' }],
      limits: { hostCalls: 2_000 },
      body: `for (let line = 0; line < 1500; line += 1) ctx.log.warn('\\u001b[2J\\u202e' + 'x'.repeat(1500))
        return 'said'`,
      told: /^said$/,
    },
    {
      name: 'impostor',
      title: 'emits an event in the name of the core',
      capabilities: [{ kind: 'events', emit: ['impostor.*'] }],
      body: `const codes = []
        for (const type of ['app.scaled', 'plugin.failed', 'other.thing']) codes.push(await tell(() => ctx.events.emit(type, {})))
        codes.push(await tell(() => ctx.events.emit('impostor.large', { text: 'x'.repeat(100_000) })))
        return codes.join(' ')`,
      told: /^(ORC_CAPABILITY_DENIED ){3}ORC_CAPABILITY_LIMIT$/,
      incident: /ORC_CAPABILITY_DENIED/,
    },
    {
      name: 'series-maker',
      title: 'makes more series than it was granted',
      capabilities: [{ kind: 'metrics', emit: ['made*'], maxSeries: 100 }],
      body: `return await tell(() => ctx.metrics.emit(Array.from({ length: 1000 }, (_, index) => ({ app: 'calm', metric: 'madeUp', value: 1, labels: { n: '"\\n' + index } }))))`,
      told: /^ORC_CAPABILITY_LIMIT$/,
    },
    {
      name: 'scales-others',
      title: 'scales an app of others',
      capabilities: [{ kind: 'apps', scale: { maxReplicas: 2 }, selector: { team: 'mine' }, why }],
      body: `return await tell(() => ctx.apps.scale('calm', 2, 'because'))`,
      told: /^ORC_CAPABILITY_DENIED$/,
      incident: /ORC_CAPABILITY_DENIED/,
    },
    {
      name: 'timer-bomb',
      title: 'starts a million timers of no time',
      capabilities: [{ kind: 'timers' }],
      body: `const codes = new Set()
        for (let index = 0; index < 300; index += 1) codes.add(await tell(() => ctx.timers.every(100, () => {})))
        codes.add(await tell(() => ctx.timers.every(0, () => {})))
        return [...codes].filter((code) => /^ORC/.test(code)).sort().join(' ')`,
      told: /ORC_CAPABILITY_(LIMIT|ARGUMENT)/,
    },
    {
      name: 'nonsense',
      title: 'votes nonsense',
      head: `const wrong = [NaN, 1e308, -1, '5', {}, null]; let turn = 0`,
      body: `hold = () => ({ replicas: wrong[turn++ % wrong.length], reason: 'x' })`,
      error: /ORC_HOOK_OUTPUT_INVALID/,
      incident: /ORC_HOOK_OUTPUT_INVALID/,
    },
    {
      name: 'unstoppable',
      title: 'calls a native function that nothing inside can stop',
      body: `Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)`,
      error: /ORC_SANDBOX_TIMEOUT|ORC_HOOK_/,
      incident: /ORC_SANDBOX_TIMEOUT/,
      isKilled: true,
    },
    {
      name: 'map-leak',
      title: 'leaks into a map until V8 gives up',
      limits: { timeoutMs: 5_000 },
      body: `const map = new Map(); for (let key = 0; ; key += 1) map.set(key, key)`,
      error: /ORC_SANDBOX_|ORC_HOOK_/,
      incident: /ORC_SANDBOX_(OUT_OF_MEMORY|CRASHED|TIMEOUT)/,
      isKilled: true,
    },
    {
      name: 'big-strings',
      title: 'takes memory that the isolate does not count',
      limits: { timeoutMs: 5_000 },
      body: `const kept = []; for (;;) kept.push(('x'.repeat(2 ** 28) + kept.length).split(''))`,
      error: /ORC_SANDBOX_|ORC_HOOK_/,
      incident: /ORC_SANDBOX_(OUT_OF_MEMORY|CRASHED|TIMEOUT)/,
      isKilled: true,
    },
    {
      name: 'hostile-error',
      title: 'throws an error that loops when it is read',
      body: `throw new Proxy({}, { get() { for (;;); } })`,
      error: /ORC_SANDBOX_TIMEOUT|ORC_HOOK_/,
      incident: /ORC_SANDBOX_TIMEOUT/,
      isKilled: true,
    },
    {
      name: 'late-loop',
      title: 'loops after an await, where no timeout of the engine counts',
      capabilities: [{ kind: 'kv' }],
      body: `await ctx.kv.get('x'); for (;;);`,
      error: /ORC_SANDBOX_TIMEOUT|ORC_HOOK_/,
      incident: /ORC_SANDBOX_TIMEOUT/,
      isKilled: true,
    },
    {
      name: 'escape',
      title: 'climbs constructors to reach code from strings',
      body: `const ways = [
          () => [].constructor.constructor('return process')(),
          () => (async () => {}).constructor('return 1')(),
          () => Function('return this')(),
          () => globalThis.eval('1'),
          () => new Error('x').constructor.prepareStackTrace('x'),
          () => ctx.has.constructor('return this')(),
        ]
        return ways.every((way) => { try { way(); return false } catch { return true } }) && typeof process === 'undefined' ? 'no way out' : 'OUT'`,
      told: /^no way out$/,
    },
    {
      name: 'large-answer',
      title: 'answers more than it may',
      body: `hold = () => ({ hold: true, reason: 'x'.repeat(5_000_000) })`,
      error: /ORC_SANDBOX_|ORC_HOOK_OUTPUT/,
      incident: /ORC_/,
    },
    {
      name: 'call-flood',
      title: 'floods the host with calls',
      capabilities: [{ kind: 'kv' }],
      limits: { hostCalls: 2_000, timeoutMs: 2_000 },
      body: `const all = []
        for (let index = 0; index < 1900; index += 1) all.push(tell(() => ctx.kv.list()))
        await Promise.all(all)
        return 'done'`,
      told: /^done$/,
    },
    {
      name: 'residue',
      title: 'leaves a loop behind for the next call',
      head: `const kept = { calls: 0 }`,
      body: `kept.calls += 1
        if (kept.calls === 1) { Promise.resolve().then(function again() { return Promise.resolve().then(again) }); return 'never told' }
        return 'call ' + kept.calls + ' in the same isolate'`,
      error: /ORC_SANDBOX_|ORC_HOOK_/,
      incident: /ORC_SANDBOX_(TIMEOUT|CPU_EXCEEDED|OUT_OF_MEMORY)/,
      isKilled: true,
    },
  ]
}
