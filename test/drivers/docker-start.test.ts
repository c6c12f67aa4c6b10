import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { DriverEvent, Instance } from '../../runtime/drivers/driver.ts'
import {
  buildImage,
  type DockerEngine,
  dockerSkip,
  importBusybox,
  importReplica,
  startDockerEngine,
} from '../support/docker-engine.ts'
import { waitFor } from '../support/wait-for.ts'
import { dockerHarness, openDriver, request } from './docker-harness.ts'

async function getJson(instance: Instance, path: string): Promise<Record<string, unknown>> {
  return waitFor(async () => {
    const response = await fetch(`http://${instance.host}:${instance.port}${path}`)
    return (await response.json()) as Record<string, unknown>
  })
}
const busybox = (id: string, script: string, more = {}) =>
  request(id, { image: 'test/busybox', command: ['busybox', 'sh', '-c', script], ...more })

describe('docker driver', { skip: dockerSkip, concurrency: 4 }, () => {
  let engine: DockerEngine
  const endings: (() => Promise<void>)[] = []
  before(async () => {
    engine = await startDockerEngine({ after: (run) => endings.push(run) })
    await Promise.all([importReplica(engine), importBusybox(engine)])
  })
  after(async () => {
    for (const end of endings) await end()
  })
  const inspect = async (t: ReturnType<typeof openDriver>, id: string) =>
    engine.docker.getContainer((await t.containerId({ id })) ?? '').inspect()

  it('runs a real server that answers at the address of its container and knows it', async (t) => {
    const { driver } = openDriver(t, engine)
    const envFields = { MY_IP: 'instance.ip', MY_PORT: 'instance.port' } as const
    const instance = await driver.start(request('shop-1', { env: { GREETING: 'a=b "c"\nd' }, envFields }))
    assert.equal(instance.port, 8080)
    const env = await getJson(instance, '/env')
    const { HOSTNAME: _, ...own } = env
    assert.deepEqual(own, {
      PATH: '/bin',
      HOST: '0.0.0.0',
      HOME: '/',
      GREETING: 'a=b "c"\nd',
      PORT: '8080',
      MY_IP: instance.host,
      MY_PORT: '8080',
      ORCHESTRY_APP: 'shop',
      ORCHESTRY_INSTANCE: 'shop-1',
      ORCHESTRY_VERSION: 'v1',
    })
  })

  it('gives many replicas that ask for it an address of their own each', async (t) => {
    const { driver } = openDriver(t, engine)
    const started = await Promise.all(
      ['a', 'b', 'c', 'd'].map((id) =>
        driver.start(busybox(id, 'echo $MY_IP; sleep 60', { envFields: { MY_IP: 'instance.ip' } })),
      ),
    )
    assert.equal(new Set(started.map(({ host }) => host)).size, 4)
    for (const { id, host } of started) {
      const line = await waitFor(async () => (await driver.logs(id, { lines: 1 }))[0]?.line)
      assert.equal(line, host)
    }
  })

  it('publishes the port on the loopback address where that is asked for, and finds it again', async (t) => {
    const opened = openDriver(t, engine, { reach: 'port' })
    const [one, two] = await Promise.all([opened.driver.start(request('a')), opened.driver.start(request('b'))])
    assert.deepEqual([one.host, two.host], ['127.0.0.1', '127.0.0.1'])
    assert.notEqual(one.port, two.port)
    assert.equal((await getJson(two, '/')).instance, 'b')
    const next = opened.open({ reach: 'port' })
    const listed = (await next.list()).sort((a, b) => a.id.localeCompare(b.id))
    assert.deepEqual(listed, [one, two])
    await next.close({ keep: true })
  })

  it('lets a container do no more than it needs', async (t) => {
    const { driver } = openDriver(t, engine)
    const script = [
      'grep -E "^(Cap(Prm|Eff|Bnd)|NoNewPrivs)" /proc/self/status',
      'touch /file 2>/dev/null || echo root: read only',
      'touch /tmp/file && echo tmp: written',
      'cat /proc/1/cmdline | tr "\\0" " "; echo',
      'sleep 60',
    ].join('; ')
    await driver.start(busybox('a', script, { memoryBytes: 64 * 1024 * 1024, cpuMilli: 500 }))
    const lines = await waitFor(async () => {
      const found = (await driver.logs('a', { lines: 20 })).map(({ line }) => line.replaceAll('\t', ' '))
      return found.length >= 7 && found
    })
    assert.deepEqual(lines.slice(0, 6), [
      'CapPrm: 0000000000000000',
      'CapEff: 0000000000000000',
      'CapBnd: 0000000000000000',
      'NoNewPrivs: 1',
      'root: read only',
      'tmp: written',
    ])
    assert.match(lines[6] ?? '', /docker-init -- busybox sh -c/)
  })

  it('gives the user, the capabilities and the writable root that were granted', async (t) => {
    const { driver } = openDriver(t, engine)
    const script = 'id -u; id -g; grep CapBnd /proc/self/status; touch /tmp/x 2>/dev/null && echo written; sleep 60'
    const security = { runAsUser: '1000:2000', isRootWritable: true, capabilities: ['NET_BIND_SERVICE'] }
    await driver.start(busybox('a', script, { security }))
    const lines = await waitFor(async () => {
      const found = (await driver.logs('a', { lines: 20 })).map(({ line }) => line.replaceAll('\t', ' '))
      return found.length >= 3 && found
    })
    assert.deepEqual(lines.slice(0, 3), ['1000', '2000', 'CapBnd: 0000000000000400'])
  })

  it('keeps what is written to a volume for the next replica of the app, and for no other app', async (t) => {
    const opened = openDriver(t, engine)
    const { driver } = opened
    const volumes = [{ name: 'data', mountPath: '/data', isReadOnly: false }]
    const script = 'cat /data/file 2>/dev/null || echo empty; echo $ORCHESTRY_INSTANCE > /data/file; sleep 60'
    const firstLine = async (id: string, app: string) => {
      await driver.start(busybox(id, script, { app, volumes }))
      return waitFor(async () => (await driver.logs(id, { lines: 1 }))[0]?.line)
    }
    assert.equal(await firstLine('shop-1', 'shop'), 'empty')
    await driver.stop('shop-1', { graceSeconds: 0 })
    assert.equal(await firstLine('shop-2', 'shop'), 'shop-1')
    assert.equal(await firstLine('blog-1', 'blog'), 'empty')
    await driver.close({ keep: false })
    const { Volumes } = await engine.docker.listVolumes({ filters: { label: [`orchestry.owner=${opened.ownerId}`] } })
    assert.deepEqual(Volumes.map(({ Labels }) => Labels['orchestry.app']).sort(), ['blog', 'shop'])
    await Promise.all(Volumes.map(({ Name }) => engine.docker.getVolume(Name).remove()))
  })

  it('runs the very image that its version began with, whatever its tag says later', async (t) => {
    const opened = openDriver(t, engine)
    const { driver } = opened
    const image = 'test/moving:1'
    const [repo, tag] = ['test/moving', '1']
    await engine.docker.getImage('test/busybox').tag({ repo, tag })
    await driver.start(busybox('a', 'sleep 60', { image }))
    await engine.docker.getImage('test/replica:1').tag({ repo, tag })
    await driver.start(busybox('b', 'sleep 60', { image }))
    const [a, b] = [await inspect(opened, 'a'), await inspect(opened, 'b')]
    assert.equal(a.Image, b.Image)
    // So does the next controller, which has it from what runs.
    await driver.close({ keep: true })
    const next = opened.open()
    t.after(() => next.close({ keep: false }))
    await next.list()
    await next.start(busybox('c', 'sleep 60', { image }))
    assert.equal((await inspect(opened, 'c')).Image, a.Image)
    const other = await next.start(request('d', { image, version: 'v2' }))
    assert.equal((await getJson(other, '/')).instance, 'd')
  })

  it('takes the port that the image exposes where the app names none', async (t) => {
    const { driver } = openDriver(t, engine)
    const instance = await driver.start(request('a', { env: { HOST: '0.0.0.0' } }))
    assert.equal(instance.port, 8080)
    const other = await driver.start(request('b', { containerPort: 3000 }))
    assert.equal(other.port, 3000)
    assert.equal((await getJson(other, '/')).port, 3000)
  })

  it('says what a replica wrote that ends at once, either way', async (t) => {
    const { driver } = openDriver(t, engine)
    const events: DriverEvent[] = []
    driver.watch((event) => events.push(event))
    const started = await driver
      .start(request('a', { image: 'test/busybox', command: ['no-such-program'] }))
      .catch((error: unknown) => error as Error)
    // The engine may have taken it for started before its init found out.
    const exit =
      started instanceof Error ? undefined : await waitFor(() => events.find(({ type }) => type === 'exited'))
    if (exit?.type === 'exited') assert.deepEqual(exit.instance.exit, { code: 127, signal: null })
    else assert.match((started as Error).message, /ended as soon as it was started, with code 127, .*no-such-program/)
    assert.match((await driver.logs('a', { lines: 5 }))[0]?.line ?? '', /no-such-program/)
  })

  it('says when memory was what a replica died of', async (t) => {
    const { driver } = openDriver(t, engine)
    const events: DriverEvent[] = []
    driver.watch((event) => events.push(event))
    const instance = await driver.start(request('a', { memoryBytes: 64 * 1024 * 1024 }))
    await getJson(instance, '/')
    await fetch(`http://${instance.host}:${instance.port}/hold?mb=200`).catch(() => undefined)
    const event = await waitFor(() => events[0], { timeoutMs: 10_000 })
    assert.ok(event.type === 'exited')
    assert.deepEqual(event.instance.exit, { code: 137, signal: 'SIGKILL', isOutOfMemory: true })
  })

  it('measures what it uses of what it may use', async (t) => {
    const { driver } = openDriver(t, engine)
    await driver.start(busybox('a', 'while :; do :; done', { cpuMilli: 100, memoryBytes: 64 * 1024 * 1024 }))
    const usage = await waitFor(
      async () => {
        const found = (await driver.usage(['a'])).get('a')
        return found && found.cpuPercent > 30 && found
      },
      { timeoutMs: 15_000, everyMs: 200 },
    )
    assert.ok(usage.cpuPercent < 200, `${usage.cpuPercent} % of its tenth of a core`)
    assert.ok(usage.memoryPercent > 0 && usage.memoryPercent < 50)
  })

  it('weaves both streams of output by time, with terminal bytes as they are', async (t) => {
    const { driver } = openDriver(t, engine)
    await driver.start(
      busybox(
        'a',
        'for i in 1 2; do echo "out $i"; sleep 0.1; printf "\\033[31merr %s\\n" $i >&2; sleep 0.1; done; sleep 60',
      ),
    )
    const lines = await waitFor(async () => {
      const found = await driver.logs('a', { lines: 10 })
      return found.length === 4 && found
    })
    assert.deepEqual(
      lines.map(({ stream, line }) => `${stream}: ${line}`),
      ['stdout: out 1', 'stderr: \u001b[31merr 1', 'stdout: out 2', 'stderr: \u001b[31merr 2'],
    )
    const times = lines.map(({ atMs = 0 }) => atMs)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.deepEqual(
      (await driver.logs('a', { lines: 1 })).map(({ line }) => line),
      ['\u001b[31merr 2'],
    )
  })

  it("ends a replica with its image's own signal", async (t) => {
    const { driver } = openDriver(t, engine)
    await buildImage(engine, 'test/quits', 'FROM test/busybox\nSTOPSIGNAL SIGQUIT\n')
    const script = 'trap "echo quit; exit 0" QUIT; trap "" TERM; echo ready; while :; do sleep 0.05; done'
    await driver.start(busybox('a', script, { image: 'test/quits' }))
    await waitFor(async () => (await driver.logs('a', { lines: 1 })).length > 0)
    await driver.stop('a', { graceSeconds: 30 })
    assert.deepEqual(
      (await driver.logs('a', { lines: 9 })).map(({ line }) => line),
      ['ready', 'quit'],
    )
  })

  it('takes a replica that somebody has paused for running, and ends it all the same', async (t) => {
    const opened = openDriver(t, engine)
    const instance = await opened.driver.start(busybox('a', 'sleep 60'))
    await engine.docker.getContainer((await opened.containerId(instance)) ?? '').pause()
    assert.deepEqual(await opened.driver.list(), [instance])
    await opened.driver.stop('a', { graceSeconds: 0.5 })
    assert.equal(await opened.containerId(instance), undefined)
  })

  it('removes what a controller had created and not started, and touches nothing of anybody else', async (t) => {
    const { docker } = engine
    const opened = openDriver(t, engine)
    const other = dockerHarness(engine)
    t.after(() => other.dispose())
    const stranger = await docker.createContainer({
      Image: 'test/busybox',
      Cmd: ['busybox', 'sleep', '60'],
      HostConfig: { NetworkMode: 'none' },
    })
    t.after(() => stranger.remove({ force: true }))
    const labels = (owner: string) => ({
      'orchestry.owner': owner,
      'orchestry.app': 'shop',
      'orchestry.instance': 'shop-9',
      'orchestry.version': 'v1',
      'orchestry.port': '8080',
    })
    for (const owner of [opened.ownerId, other.ownerId])
      await docker.createContainer({
        Image: 'test/busybox',
        Cmd: ['busybox', 'true'],
        Labels: labels(owner),
        HostConfig: { NetworkMode: 'none' },
      })
    assert.deepEqual(await opened.driver.list(), [])
    await waitFor(async () => (await opened.containerId({ id: 'shop-9' })) === undefined)
    assert.ok(await other.containerId({ id: 'shop-9' }))
    await opened.driver.close({ keep: false })
    assert.ok(await other.containerId({ id: 'shop-9' }))
    assert.equal((await stranger.inspect()).State.Status, 'created')
  })

  it('hears at once of a replica that somebody removes', async (t) => {
    const opened = openDriver(t, engine)
    const events: DriverEvent[] = []
    opened.driver.watch((event) => events.push(event))
    const instance = await opened.driver.start(busybox('a', 'sleep 60'))
    await engine.docker.getContainer((await opened.containerId(instance)) ?? '').remove({ force: true })
    const event = await waitFor(() => events[0])
    assert.ok(event.type === 'exited' && event.instance.id === 'a')
    assert.deepEqual(await opened.driver.list(), [event.instance])
    assert.deepEqual(await opened.driver.list(), [])
  })

  it('makes its network again when somebody has removed it, and leaves none behind', async (t) => {
    const opened = openDriver(t, engine)
    const networks = async () =>
      await engine.docker.listNetworks({ filters: { label: [`orchestry.owner=${opened.ownerId}`] } })
    await Promise.all(['a', 'b', 'c'].map((id) => opened.driver.start(busybox(id, 'sleep 60'))))
    assert.equal((await networks()).length, 1)
    await Promise.all(['a', 'b', 'c'].map((id) => opened.driver.stop(id, { graceSeconds: 0 })))
    await engine.docker.getNetwork((await networks())[0]?.Id ?? '').remove()
    await opened.driver.start(busybox('d', 'sleep 60'))
    assert.equal((await networks()).length, 1)
    await opened.driver.close({ keep: false })
    assert.deepEqual(await networks(), [])
  })
})
