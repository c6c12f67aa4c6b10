/** Control groups: when they can be had, what is said when not, and that nothing leaves one alive. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type ControlGroups, ownGroup, prepareControlGroups } from '../../runtime/sandbox/control-groups.ts'
import { begin, findPlaces, writeScript } from '../hostile/os-attacker.ts'
import { tempDir } from '../support/temp-dir.ts'

const mount = (root: string, at: string, kind: string) =>
  `34 24 0:29 ${root} ${at} rw,nosuid shared:9 - ${kind} ${kind} rw`

describe('our own control group', () => {
  const cases: [string, string, string, string | undefined][] = [
    [
      'of a service',
      mount('/', '/sys/fs/cgroup', 'cgroup2'),
      '0::/system.slice/a.service',
      '/sys/fs/cgroup/system.slice/a.service',
    ],
    ['in a container', mount('/', '/sys/fs/cgroup', 'cgroup2'), '0::/', '/sys/fs/cgroup'],
    ['of which only a part is mounted', mount('/docker/1', '/cg', 'cgroup2'), '0::/docker/1/a', '/cg/a'],
    ['that lies outside what is mounted', mount('/docker/1', '/cg', 'cgroup2'), '0::/docker/2', undefined],
    [
      'beside those of version 1',
      `${mount('/', '/v1', 'cgroup')}\n${mount('/', '/v2', 'cgroup2')}`,
      '4:memory:/m\n0::/x',
      '/v2/x',
    ],
    ['where there is only version 1', mount('/', '/v1', 'cgroup'), '4:memory:/m', undefined],
  ]
  for (const [name, mounts, groups, folder] of cases)
    test(`is found: ${name}`, () =>
      assert.equal(ownGroup(`23 1 8:1 / / rw - ext4 /dev/a rw\n${mounts}\n`, `${groups}\n`), folder))

  test('that cannot be divided is left alone, with the reason in words', async (t) => {
    const folder = await tempDir(t)
    const refusal = () => JSON.stringify(prepareControlGroups(folder, 7))
    const write = (name: string, text: string) => writeFile(join(folder, name), text)
    assert.match(refusal(), /memory, pids, cpu cannot be bounded/)
    await write('cgroup.controllers', 'cpuset cpu memory pids\n')
    assert.match(refusal(), /not handed over to us \(systemd: Delegate=yes\)/)
    await write('cgroup.subtree_control', '')
    await write('cgroup.procs', '7\n8\n')
    assert.match(refusal(), /holds other processes too/)
    assert.ok(!existsSync(join(folder, 'orchestry-host')))
  })

  test('that is ours alone is divided: we in one part, each process in one of its own with its bounds', async (t) => {
    const folder = await tempDir(t)
    await writeFile(join(folder, 'cgroup.controllers'), 'cpu memory pids\n')
    await writeFile(join(folder, 'cgroup.subtree_control'), '')
    await writeFile(join(folder, 'cgroup.procs'), '7\n')
    const groups = prepareControlGroups(folder, 7)
    assert.ok(typeof groups !== 'string', JSON.stringify(groups))
    const read = (...names: string[]) => readFileSync(join(folder, ...names), 'utf8')
    assert.equal(read('orchestry-host', 'cgroup.procs'), '7')
    assert.equal(read('cgroup.subtree_control'), '+memory +pids +cpu')
    groups.open({ memoryMb: 64, processes: 20 })?.add(9)
    const values = ['memory.max', 'memory.swap.max', 'memory.oom.group', 'pids.max', 'cpu.weight', 'cgroup.procs']
    assert.deepEqual(
      values.map((name) => read('sandbox-7-1', name)),
      ['67108864', '0', '1', '20', '50', '9'],
    )
  })
})

/** A group of the kernel to be divided, with a process in it that stands for us; undefined with why where there is none. */
async function realGroups(t: { after(run: () => Promise<void>): void }): Promise<ControlGroups | string> {
  const own = ownGroup(readFileSync('/proc/self/mountinfo', 'latin1'), readFileSync('/proc/self/cgroup', 'latin1'))
  if (own === undefined) return 'control groups of version 2 are not mounted'
  const folder = join(own, `orchestry-test-${process.pid}`)
  const isMade = await mkdir(folder).then(
    () => true,
    () => false,
  )
  if (!isMade) return `no group can be made in ${own}`
  const standIn = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  t.after(async () => {
    const gone = once(standIn, 'exit')
    standIn.kill('SIGKILL')
    await gone
    await rmdir(join(folder, 'orchestry-host'))
    await rmdir(folder)
  })
  return prepareControlGroups(folder, standIn.pid, [])
}

test('OS-05 nothing leaves a control group alive, also where nothing else would end it', async (t) => {
  const places = await findPlaces()
  if (typeof places === 'string') return t.skip(places)
  const groups = await realGroups(t)
  if (typeof groups === 'string') return t.skip(groups)
  const place = places.find(({ tier }) => tier === 1)
  assert.ok(place !== undefined)
  // It is put into its group after it was started; what it forks before that would not be in it.
  const inGroup = `for (;;) { open(G, '<', '/proc/self/cgroup'); last if grep { /orchestry-test/ } <G>; select(undef, undef, undef, 0.01) }`
  const script = `${inGroup} if (fork() == 0) { syscall(${process.arch === 'arm64' ? 157 : 112}); exit if fork(); syswrite(STDOUT, "there done\\n"); sleep 1 while 1 } sleep 1 while 1`
  const launch = place.launch(await writeScript(t, script))
  const { child, ended } = begin(t, { ...launch, openGroup: () => groups.open({ memoryMb: 256, processes: 20 }) })
  const closed = once(child.channel.resume(), 'close')
  await once(child.output, 'data')
  child.kill()
  await ended
  await child.gone
  await closed
})
