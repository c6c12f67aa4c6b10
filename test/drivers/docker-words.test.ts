import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseDockerHost, unreachableWords } from '../../runtime/drivers/docker-address.ts'
import { parseImageName } from '../../runtime/drivers/docker-image-name.ts'
import { labelsOf, readLabels } from '../../runtime/drivers/docker-labels.ts'
import { containerName, isNameable, volumeName } from '../../runtime/drivers/docker-names.ts'
import { createPullProgress, pullFailure } from '../../runtime/drivers/docker-pull-words.ts'
import { isBridgeOurs } from '../../runtime/drivers/docker-reach.ts'
import { createRegistryAuth } from '../../runtime/drivers/docker-registries.ts'
import { startFailure } from '../../runtime/drivers/docker-start-words.ts'
import { freeAddress } from '../../runtime/drivers/docker-subnet.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('the address of an engine', () => {
  const rows = [
    ['unix:///var/run/docker.sock', { kind: 'unix', socketPath: '/var/run/docker.sock' }],
    ['/run/my docker.sock', { kind: 'unix', text: 'unix:///run/my docker.sock', socketPath: '/run/my docker.sock' }],
    ['tcp://127.0.0.1:2375', { kind: 'tcp', host: '127.0.0.1', port: 2375, protocol: 'http' }],
    ['tcp://engine.internal', { kind: 'tcp', host: 'engine.internal', port: 2375, protocol: 'http' }],
    ['http://[::1]:80', { kind: 'tcp', host: '[::1]', port: 80, protocol: 'http' }],
    ['https://engine', { kind: 'tcp', host: 'engine', port: 2376, protocol: 'https' }],
    ['ssh://user@engine', undefined],
    ['tcp://user:password@engine:1', undefined],
    ['unix://relative', undefined],
    ['', undefined],
  ] as const
  for (const [text, expected] of rows)
    it(`reads ${JSON.stringify(text)}`, () => {
      const found = parseDockerHost(text)
      assert.deepEqual(found, expected && { text, ...expected })
    })
  it('takes TCP for TLS where there are certificates', () => {
    assert.deepEqual(parseDockerHost('tcp://engine', { isTls: true }), {
      kind: 'tcp',
      text: 'tcp://engine',
      host: 'engine',
      port: 2376,
      protocol: 'https',
    })
  })
  it('says of each trouble what to do about it', () => {
    const words = (code: string) => unreachableWords('unix:///x', code, 'odd')
    assert.match(words('ENOENT'), /no Docker engine at unix:\/\/\/x: is it installed, is it running\?/)
    assert.match(words('ECONNREFUSED'), /systemctl status docker/)
    assert.match(words('EACCES'), /This user may not use .* add the user to the group/)
    assert.match(words('EWHAT'), /cannot be spoken to: odd\. What runs there goes on/)
  })
})

describe('the name of an image', () => {
  const rows = [
    ['shop', { registry: 'docker.io', repository: 'shop', tag: 'latest' }],
    ['acme/shop:1.4', { registry: 'docker.io', repository: 'acme/shop', tag: '1.4' }],
    ['localhost/shop', { registry: 'localhost', repository: 'localhost/shop', tag: 'latest' }],
    ['127.0.0.1:5000/a/b:v1', { registry: '127.0.0.1:5000', repository: '127.0.0.1:5000/a/b', tag: 'v1' }],
    [`ghcr.io/acme/shop@${digest}`, { registry: 'ghcr.io', repository: 'ghcr.io/acme/shop', digest }],
    [`shop:1@${digest}`, { registry: 'docker.io', repository: 'shop', tag: '1', digest }],
    ['Shop', undefined],
    ['Acme/shop', undefined],
    ['../etc/shop', undefined],
    ['registry.example/../shop', undefined],
    ['shop:', undefined],
    ['shop@sha256:1', undefined],
    ['a//b', undefined],
    ['', undefined],
  ] as const
  for (const [text, expected] of rows)
    it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parseImageName(text), expected))
  it('is read in no time, however it is built', () => {
    const startedAt = performance.now()
    parseImageName(`${'a-'.repeat(250)}/`)
    parseImageName(`${'a.'.repeat(250)}/${'a_'.repeat(250)}`)
    assert.ok(performance.now() - startedAt < 200)
  })
})

describe('marks and names', () => {
  const mark = { ownerId: 'o', id: 'shop-1', app: 'shop', version: 'v1', port: 8080 }
  it('are read as they were written', () => assert.deepEqual(readLabels(labelsOf(mark)), mark))
  it('are no marks when one is missing or the port is none', () => {
    for (const name of Object.keys(labelsOf(mark)))
      assert.equal(readLabels({ ...labelsOf(mark), [name]: '' }), undefined)
    assert.equal(readLabels({ ...labelsOf(mark), 'orchestry.port': '70000' }), undefined)
    assert.equal(readLabels(undefined), undefined)
  })
  it('differ between controllers and between apps', () => {
    const names = [volumeName('o-1', 'a', 'b-c'), volumeName('o-1', 'a-b', 'c'), volumeName('o-2', 'a', 'b-c')]
    assert.equal(new Set(names).size, 3)
    assert.notEqual(containerName('owner-1', 'shop-1'), containerName('owner-2', 'shop-1'))
    assert.deepEqual(['shop-1', '../x', '', 'a b'].map(isNameable), [true, false, false, false])
  })
})

describe('a pull', () => {
  it('adds up its layers', () => {
    const progress = createPullProgress('shop:1')
    const layer = (id: string, current: number, total: number) =>
      progress({ id, status: 'Downloading', progressDetail: { current, total } })
    assert.equal(progress({ status: 'Pulling from shop' }), 'pulling shop:1')
    assert.equal(layer('a', 1e6, 40e6), 'pulling shop:1, 1.0 of 40 MB')
    assert.equal(layer('b', 37e6, 80e6), 'pulling shop:1, 38 of 120 MB')
    assert.equal(progress({ id: 'a', status: 'Download complete' }), 'pulling shop:1, 77 of 120 MB')
  })

  const image = { registry: 'reg.example', repository: 'reg.example/shop', tag: '1' }
  const rows = [
    ['manifest for reg.example/shop:1 not found: manifest unknown', 'ORC_DRIVER_START_FAILED', /has no tag 1 of it/],
    ['repository reg.example/shop not found: name unknown', 'ORC_DRIVER_START_FAILED', /has no such image/],
    ['pull access denied for shop, repository does not exist', 'ORC_DRIVER_START_FAILED', /ORCHESTRY_REGISTRIES=/],
    ['no basic auth credentials', 'ORC_DRIVER_START_FAILED', /orchestry secret set/],
    ['no matching manifest for linux/amd64 in the manifest list', 'ORC_DRIVER_START_FAILED', /for that platform/],
    ['write /var/lib/docker/tmp/x: no space left on device', 'ORC_DRIVER_UNAVAILABLE', /docker image prune/],
    ['toomanyrequests: You have reached your pull rate limit', 'ORC_DRIVER_START_FAILED', /too many requests/],
    ['Get "https://reg.example/v2/": dial tcp: i/o timeout', 'ORC_DRIVER_START_FAILED', /cannot be reached/],
  ] as const
  for (const [said, code, words] of rows)
    it(`that fails with "${said}" says what to do`, () => {
      const failure = pullFailure(image, 'shop', said)
      assert.equal(failure.code, code)
      assert.match(failure.detail, words)
      assert.ok(failure.detail.includes(said))
    })

  const auth = createRegistryAuth({
    registries: {
      'reg.example': { username: 'ci', secret: 'TOKEN', apps: ['shop'] },
      'docker.io': { username: 'me', secret: 'NONE' },
    },
    secretOf: (name) => (name === 'TOKEN' ? 'hush' : undefined),
  })
  it('has the credentials that its registry and its app have', () => {
    assert.deepEqual(auth('reg.example', 'shop'), { username: 'ci', password: 'hush', serveraddress: 'reg.example' })
    assert.equal(auth('reg.example', 'blog'), undefined)
    assert.equal(auth('toString', 'shop'), undefined)
    assert.throws(() => auth('docker.io', 'shop'), /orchestry secret set NONE/)
  })
})

describe('a start that is refused', () => {
  const asked = { id: 'a', app: 'shop', version: 'v', image: 'shop:1', command: [], env: {}, envFields: {} }
  const rows = [
    ['exec: "x": executable file not found in $PATH', 'ORC_DRIVER_START_FAILED', /no such program; mend spec\.command/],
    [
      'exec /bin/x: exec format error',
      'ORC_DRIVER_START_FAILED',
      /built for linux\/arm64, the engine runs on linux\/x86/,
    ],
    ['Minimum memory limit allowed is 6MB', 'ORC_DRIVER_START_FAILED', /raise resources\.memory/],
    ['mkdir: no space left on device', 'ORC_DRIVER_UNAVAILABLE', /disk of the Docker engine is full/],
    ['something new', 'ORC_DRIVER_START_FAILED', /something new\. Nothing is left of the attempt\.$/],
  ] as const
  for (const [said, code, words] of rows)
    it(`with "${said}" says why`, () => {
      const failure = startFailure(asked, said, { image: 'linux/arm64', engine: 'linux/x86' })
      assert.equal(failure.code, code)
      assert.match(failure.detail, words)
    })
})

describe('the way to a container', () => {
  const socket = parseDockerHost('unix:///run/docker.sock')
  const rows = [
    ['a local engine', socket, {}, 'linux', true],
    ['a machine that is no Linux', socket, {}, 'darwin', false],
    ['Docker Desktop', socket, { OperatingSystem: 'Docker Desktop' }, 'linux', false],
    ['a rootless engine', socket, { SecurityOptions: ['name=seccomp', 'name=rootless'] }, 'linux', false],
    ['an engine far away', parseDockerHost('tcp://engine:2375'), {}, 'linux', false],
  ] as const
  for (const [what, address, info, platform, expected] of rows)
    it(`of ${what} leads ${expected ? 'over its bridge' : 'over a port'}`, () =>
      assert.equal(isBridgeOurs(address, info, platform), expected))

  it('begins at an address that nobody has, in the upper half of the range', () => {
    assert.equal(
      freeAddress('172.18.0.0/16', [], () => 0),
      '172.18.128.0',
    )
    assert.equal(
      freeAddress('172.18.0.0/16', ['172.18.128.0'], () => 0),
      '172.18.128.1',
    )
    assert.equal(
      freeAddress('10.0.0.0/29', ['10.0.0.6'], () => 0.99),
      '10.0.0.4',
    )
    assert.equal(
      freeAddress('10.0.0.0/30', ['10.0.0.2'], () => 0),
      undefined,
    )
    for (const range of ['', '10.0.0.0', 'fd00::/64', '10.0.0.0/31', '10.0.0.0/x', '300.0.0.0/8'])
      assert.equal(
        freeAddress(range, [], () => 0),
        undefined,
      )
  })
})
