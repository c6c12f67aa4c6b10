import assert from 'node:assert/strict'
import { test } from 'node:test'
import { containerBody, type Placement } from '../../runtime/drivers/docker-container.ts'
import type { StartRequest } from '../../runtime/drivers/driver.ts'

const place: Placement = {
  ownerId: 'owner-1234',
  imageId: `sha256:${'a'.repeat(64)}`,
  port: 8080,
  network: 'orchestry-owner1234',
  logDriver: 'json-file',
  logBytes: 4 * 1024 * 1024,
}
const plain: StartRequest = {
  id: 'shop-1',
  app: 'shop',
  version: 'v1',
  image: 'shop:1',
  command: [],
  env: {},
  envFields: {},
}
const bodyOf = (more: Partial<StartRequest> = {}, at: Partial<Placement> = {}) =>
  containerBody({ ...plain, ...more }, { ...place, ...at })

/** Byte for byte: whatever changes in what containers may do is to be seen in a review. */
test('a plain app gets this and nothing more', () => {
  const golden = [
    '{"Image":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","Env":["PORT=8080","ORCHESTRY_APP=s',
    'hop","ORCHESTRY_INSTANCE=shop-1","ORCHESTRY_VERSION=v1"],"Labels":{"orchestry.owner":"owner-1234","orchestry.app":"sho',
    'p","orchestry.instance":"shop-1","orchestry.version":"v1","orchestry.port":"8080"},"ExposedPorts":{"8080/tcp":{}},"Hos',
    'tConfig":{"NetworkMode":"orchestry-owner1234","IpcMode":"private","CgroupnsMode":"private","Privileged":false,"Publish',
    'AllPorts":false,"PortBindings":{},"Init":true,"AutoRemove":false,"RestartPolicy":{"Name":"no"},"CapDrop":["ALL"],"CapA',
    'dd":[],"SecurityOpt":["no-new-privileges"],"ReadonlyRootfs":true,"Tmpfs":{"/tmp":"rw,noexec,nosuid,nodev,mode=1777,siz',
    'e=64m","/run":"rw,noexec,nosuid,nodev,mode=755,size=16m"},"Mounts":[],"PidsLimit":4096,"LogConfig":{"Type":"json-file"',
    ',"Config":{"max-size":"2097152","max-file":"2"}}}}',
  ].join('')
  assert.equal(JSON.stringify(bodyOf()), golden)
})

test('an app that asks for everything gets this', () => {
  const golden = [
    '{"Image":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","Entrypoint":["node","server.js"],"',
    'Cmd":["--fast"],"Env":["PORT=80","GREETING=a=b \\"c\\"","MY_IP=172.18.200.7","MY_PORT=80","ORCHESTRY_APP=shop","ORCHESTR',
    'Y_INSTANCE=shop-1","ORCHESTRY_VERSION=v1"],"WorkingDir":"/app","User":"1000:1000","Labels":{"orchestry.owner":"owner-1',
    '234","orchestry.app":"shop","orchestry.instance":"shop-1","orchestry.version":"v1","orchestry.port":"80"},"ExposedPort',
    's":{"80/tcp":{},"9000/tcp":{}},"HostConfig":{"NetworkMode":"orchestry-owner1234","IpcMode":"private","CgroupnsMode":"p',
    'rivate","Privileged":false,"PublishAllPorts":false,"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":""}]},"I',
    'nit":true,"AutoRemove":false,"RestartPolicy":{"Name":"no"},"CapDrop":["ALL"],"CapAdd":["NET_BIND_SERVICE"],"SecurityOp',
    't":["no-new-privileges"],"ReadonlyRootfs":true,"Tmpfs":{"/run":"rw,noexec,nosuid,nodev,mode=755,size=16m"},"Mounts":[{',
    '"Type":"volume","Source":"orchestry_owner1234_shop_data","Target":"/var/lib/shop","ReadOnly":false,"VolumeOptions":{"L',
    'abels":{"orchestry.owner":"owner-1234","orchestry.app":"shop"}}},{"Type":"volume","Source":"orchestry_owner1234_shop_t',
    'mp","Target":"/tmp","ReadOnly":true,"VolumeOptions":{"Labels":{"orchestry.owner":"owner-1234","orchestry.app":"shop"}}',
    '}],"PidsLimit":4096,"Memory":134217728,"MemorySwap":134217728,"NanoCpus":250000000},"NetworkingConfig":{"EndpointsConf',
    'ig":{"orchestry-owner1234":{"IPAMConfig":{"IPv4Address":"172.18.200.7"}}}}}',
  ].join('')
  const asked: Partial<StartRequest> = {
    command: ['node', 'server.js'],
    args: ['--fast'],
    workingDir: '/app',
    env: { PORT: '80', GREETING: 'a=b "c"' },
    envFields: { MY_IP: 'instance.ip', MY_PORT: 'instance.port' },
    cpuMilli: 250,
    memoryBytes: 128 * 1024 * 1024,
    containerPort: 80,
    ports: [
      { containerPort: 80, protocol: 'HTTP' },
      { containerPort: 9000, protocol: 'TCP' },
    ],
    volumes: [
      { name: 'data', mountPath: '/var/lib/shop', isReadOnly: false },
      { name: 'tmp', mountPath: '/tmp', isReadOnly: true },
    ],
    security: { runAsUser: '1000:1000', isRootWritable: false, capabilities: ['NET_BIND_SERVICE'] },
  }
  const at = { port: 80, ip: '172.18.200.7', publishOn: '127.0.0.1', logDriver: 'journald' }
  assert.equal(JSON.stringify(bodyOf(asked, at)), golden)
})

test('arguments alone take the place of those that the image brings, and none leave them', () => {
  assert.deepEqual([bodyOf({ args: ['-v'] }).Entrypoint, bodyOf({ args: ['-v'] }).Cmd], [undefined, ['-v']])
  assert.equal('Cmd' in bodyOf({ args: [] }), false)
})

test('PORT says where traffic comes, unless the app says it itself', () => {
  assert.ok(bodyOf({}, { port: 3000 }).Env.includes('PORT=3000'))
  assert.ok(bodyOf({ env: { PORT: '1' } }, { port: 3000 }).Env.includes('PORT=1'))
})

test('what an app calls itself in its environment does not deceive', () => {
  const { Env } = bodyOf({ env: { ORCHESTRY_APP: 'other', ORCHESTRY_INSTANCE: 'other-1' } })
  assert.deepEqual(
    Env.filter((entry) => entry.startsWith('ORCHESTRY_')),
    ['ORCHESTRY_APP=shop', 'ORCHESTRY_INSTANCE=shop-1', 'ORCHESTRY_VERSION=v1'],
  )
})

test('a root that may be written to needs no scratch', () => {
  const { HostConfig } = bodyOf({ security: { isRootWritable: true, capabilities: [] } })
  assert.deepEqual([HostConfig.ReadonlyRootfs, HostConfig.Tmpfs], [false, {}])
})

test('only logs that the engine writes into files of its own are bounded here', () => {
  const typeWith = (logDriver: string) => bodyOf({}, { logDriver }).HostConfig.LogConfig?.Type
  assert.deepEqual(['json-file', 'local', 'journald', 'none'].map(typeWith), [
    'json-file',
    'local',
    undefined,
    undefined,
  ])
})
