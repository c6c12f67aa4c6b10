/** APP-01: specs that ask for the machine instead of a container, on creation and on a change, in everybody's spelling. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createApi } from '../../runtime/api/app.ts'
import { createApps } from '../../runtime/apps/registry.ts'
import { systemClock as clock } from '../../runtime/clock.ts'
import { createEvents } from '../../runtime/events/log.ts'
import { createLog } from '../../runtime/log.ts'
import { createReconciler } from '../../runtime/reconcile/reconciler.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { createFakeBalancing } from '../support/fake-balancing.ts'
import { createFakeDriver } from '../support/fake-driver.ts'
import { createFakeHealth } from '../support/fake-health.ts'
import { createFakeRooms } from '../support/fake-rooms.ts'
import { waitFor } from '../support/wait-for.ts'

type Fields = Record<string, unknown>
const volume = (more: Fields) => ({ volumes: [{ name: 'data', mountPath: '/data', ...more }] })

/** What stands in `spec`, and the field that must be named. */
const attacks: readonly [field: string, spec: Fields][] = [
  ...['privileged', 'Privileged'].map((name): [string, Fields] => [`/spec/${name}`, { [name]: true }]),
  ['/spec/security/privileged', { security: { privileged: true } }],
  ['/spec/securityContext/privileged', { securityContext: { privileged: true } }],
  ['/spec/security/allowPrivilegeEscalation', { security: { allowPrivilegeEscalation: true } }],
  ...['hostNetwork', 'hostPID', 'hostIPC', 'host_network', 'hostUsers'].map((name): [string, Fields] => [
    `/spec/${name}`,
    { [name]: true },
  ]),
  ...[
    'network_mode',
    'networkMode',
    'NetworkMode',
    'pid',
    'pid_mode',
    'PidMode',
    'ipc',
    'IpcMode',
    'uts',
    'UTSMode',
    'cgroup',
  ].map((name): [string, Fields] => [`/spec/${name}`, { [name]: 'host' }]),
  ...['userns_mode', 'userns', 'UsernsMode'].map((name): [string, Fields] => [`/spec/${name}`, { [name]: 'host' }]),
  ...['devices', 'Devices', 'device_cgroup_rules', 'DeviceRequests'].map((name): [string, Fields] => [
    `/spec/${name}`,
    { [name]: ['/dev/sda:/dev/sda:rwm'] },
  ]),
  ['/spec/gpus', { gpus: 'all' }],
  ...['cap_add', 'capAdd', 'CapAdd'].map((name): [string, Fields] => [`/spec/${name}`, { [name]: ['SYS_ADMIN'] }]),
  ...[
    'SYS_ADMIN',
    'CAP_SYS_ADMIN',
    'sys_admin',
    'ALL',
    'SYS_PTRACE',
    'SYS_MODULE',
    'DAC_READ_SEARCH',
    'BPF',
    'NET_RAW ',
    '',
    'CAP_CAP_CHOWN',
  ].map((name): [string, Fields] => ['/spec/security/capabilities/0', { security: { capabilities: [name] } }]),
  ['/spec/securityContext/capabilities/add/0', { securityContext: { capabilities: { add: ['SYS_ADMIN'] } } }],
  ...['security_opt', 'securityOpt', 'SecurityOpt'].map((name): [string, Fields] => [
    `/spec/${name}`,
    { [name]: ['seccomp=unconfined', 'apparmor=unconfined', 'no-new-privileges:false'] },
  ]),
  ...['seccompProfile', 'appArmorProfile', 'procMount', 'seLinuxOptions'].map((name): [string, Fields] => [
    `/spec/security/${name}`,
    { security: { [name]: 'Unconfined' } },
  ]),
  ...['sysctls', 'Sysctls'].map((name): [string, Fields] => [
    `/spec/${name}`,
    { [name]: { 'kernel.core_pattern': '|/x' } },
  ]),
  ...['runtime', 'Runtime', 'runtimeClassName'].map((name): [string, Fields] => [
    `/spec/${name}`,
    { [name]: 'runc-root' },
  ]),
  ...['binds', 'Binds', 'mounts', 'Mounts', 'volumes_from', 'VolumesFrom'].map((name): [string, Fields] => [
    `/spec/${name}`,
    { [name]: ['/:/host'] },
  ]),
  ['/spec/HostConfig', { HostConfig: { Privileged: true } }],
  ['/spec/cgroup_parent', { cgroup_parent: '/' }],
  ['/spec/oom_score_adj', { oom_score_adj: -1000 }],
  ['/spec/group_add', { group_add: ['docker'] }],
  ...[
    '/:/host',
    '/var/run/docker.sock:/var/run/docker.sock',
    '../..:/host',
    '~/.ssh:/ssh',
    '/',
    '//:/x',
    './:/x',
    'a/../../etc:/x',
    '\\\\?\\c:/x',
    '${HOME}:/x',
  ].map((text): [string, Fields] => ['/spec/volumes/0', { volumes: [text] }]),
  ['/spec/volumes/0/hostPath', volume({ hostPath: { path: '/' } })],
  ['/spec/volumes/0/source', volume({ source: '/' })],
  ['/spec/volumes/0/type', volume({ type: 'bind' })],
  ['/spec/volumes/0/bind', volume({ bind: { propagation: 'rshared' } })],
  ['/spec/volumes/0/driver', volume({ driver: 'local' })],
  ['/spec/volumes/0/driver_opts', volume({ driver_opts: { device: '/', o: 'bind' } })],
  ...['../etc', '/etc', 'a/b', '..', '.', 'a b', 'A', '', 'a:b', 'a\u0000b', 'a'.repeat(64)].map(
    (name): [string, Fields] => ['/spec/volumes/0/name', volume({ name })],
  ),
  ...[
    '/',
    '/proc',
    '/proc/1',
    '/sys',
    '/dev',
    '/dev/../proc',
    '/a/../..',
    'data',
    '',
    '/a\u0000',
    '/a:ro',
    '/a,b',
    '/var/run/docker.sock',
  ].map((mountPath): [string, Fields] => ['/spec/volumes/0/mountPath', volume({ mountPath })]),
  ...['root', '0:docker', '-1', '1000:', ':0', '1000:1000:1000', '1000 ', '4294967295', '0x0'].map(
    (runAsUser): [string, Fields] => ['/spec/security/runAsUser', { security: { runAsUser } }],
  ),
  ['/spec/ports/0/hostPort', { ports: [{ containerPort: 80, hostPort: 22 }] }],
  ['/spec/ports/0/published', { ports: [{ containerPort: 80, published: 22 }] }],
  ['/spec/constructor', { constructor: { privileged: true } }],
]

const document = (name: string, more: Fields) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'App',
    metadata: { name },
    spec: { image: 'a', ports: [{ containerPort: 80 }], ...more },
  })

async function build(t: TestContext) {
  const store = createMemoryStore({ clock })
  const log = createLog({ level: 'silent' })
  const events = createEvents({ store, clock, log })
  const calls: string[] = []
  const engine = new Proxy(createFakeDriver(clock), {
    get(driver, key) {
      if (key === 'name') return 'docker'
      const member: unknown = Reflect.get(driver, key)
      if (typeof member !== 'function' || key === 'list' || key === 'watch') return member
      return (...args: unknown[]) => {
        calls.push(String(key))
        return member.apply(driver, args) as unknown
      }
    },
  })
  const apps = await createApps({ store, clock, events, drivers: ['process', 'docker'] })
  const reconciler = createReconciler({
    apps,
    drivers: new Map([['docker', engine]]),
    health: createFakeHealth(clock),
    balancing: createFakeBalancing(clock),
    events,
    clock,
    log,
    accepts: async () => true,
  })
  await reconciler.start()
  const { deps, errors } = createFakeRooms()
  const api = createApi({ ...deps, apps, events, reconciler })
  t.after(async () => {
    await reconciler.stop({ keep: true })
    await events.stop()
    await store.close()
  })
  const send = async (method: string, path: string, body: string) => {
    const response = await api.request(path, { method, body, headers: { 'content-type': 'application/json' } })
    const { code, problems = [] } = (await response.json()) as {
      code?: string
      problems?: { path: string; message: string }[]
    }
    return { status: response.status, code, problems }
  }
  return { apps, reconciler, calls, errors, send }
}

test('APP-01: none of it is taken, on creation or on a change, and the engine hears nothing', async (t) => {
  const { apps, reconciler, calls, errors, send } = await build(t)
  assert.equal((await send('POST', '/api/v1/apps', document('there', {}))).status, 201)
  assert.ok(await reconciler.settled('there', 20_000))
  const before = apps.get('there')
  calls.length = 0

  for (const [field, spec] of attacks)
    await t.test(`${field} ${JSON.stringify(spec).slice(0, 100)}`, async () => {
      const created = await send('POST', '/api/v1/apps', document('new', spec))
      const put = await send('PUT', '/api/v1/apps/new', document('new', spec))
      const changed = await send('PUT', '/api/v1/apps/there', document('there', spec))
      assert.deepEqual([created.status, created.code], [400, 'ORC_SPEC_INVALID'])
      const said = ({ problems }: typeof created) => problems.map(({ path, message }) => `${path}: ${message}`)
      assert.ok(
        said(created).some((line) => line.startsWith(`${field}: `)),
        said(created).join('\n'),
      )
      assert.deepEqual([said(put), said(changed)], [said(created), said(created)])
    })

  assert.deepEqual(
    apps.list().map(({ app }) => app.name),
    ['there'],
  )
  assert.equal(apps.get('there'), before)
  reconciler.markDirty('there')
  await waitFor(() => reconciler.status('there').phase === 'running')
  assert.deepEqual([calls, errors], [[], []])
})
