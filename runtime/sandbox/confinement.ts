/**
 * The command line of a sandbox process in each tier. Every step takes something away and starts the next by replacing
 * itself: limits, namespaces, user and rights, Node's own permission model.
 */
import { dirname } from 'node:path'
import type { ControlGroup, ControlGroups } from './control-groups.ts'
import type { Machine } from './machine.ts'
import type { Tier } from './sandbox.ts'
import { seccompProgram } from './seccomp.ts'

/** What a sandbox process runs: all of ours that it may read. */
export interface ProcessProgram {
  readonly path: string
  /** The engine's binary. */
  readonly addon: string
}

export interface Launch {
  readonly file: string
  readonly args: readonly string[]
  /** Given on descriptor 4; the pids of what was started come back on 5. */
  readonly seccomp?: Buffer
  /** The process belongs to a user of its own, so that whatever belongs to this user belongs to the process. */
  readonly uid?: number
  /** The command that sets what can only be set from outside, once the process is there. */
  late?(pid: number): readonly string[]

  /** Opened with the process, and ended with it. */
  openGroup?(): ControlGroup | undefined
}

export interface Confinement {
  readonly tier: Tier
  launch(isJit: boolean): Launch
  /** The same steps, with nothing of ours at their end: Node says its version. */
  readonly probe: Launch
}

/** Where the two files lie for the process; of ours it learns no path. */
const inside = { path: '/orchestry/program.cjs', addon: '/orchestry/engine.node' }
const environment = { TZ: 'UTC', LANG: 'C' }
export const descriptors = { seccomp: 4, info: 5 } as const

/**
 * Memory that it may write, whether it uses it or not: what Node needs, and what all isolates may hold together. With the
 * JIT each isolate reserves half a gigabyte for its code and uses little of it; so this is room for 30 of them, and it is
 * the watch on what is really used that bounds such a process.
 */
const baseMb = { jitless: 192, jit: 16 * 1_024 }
const isolatesMb = 1_024
const openFiles = 64
/** Threads of Node, of V8 and of the engine, which has one for each processor. */
const processesOf = ({ processors }: Machine) => 48 + 2 * processors

function limitSteps(machine: Machine, isJit: boolean, processes?: number): string[] {
  const dataBytes = ((isJit ? baseMb.jit : baseMb.jitless) + isolatesMb) * 1024 * 1024
  return [
    machine.tool('prlimit') as string,
    '--core=0',
    '--fsize=0',
    `--nofile=${openFiles}`,
    `--data=${dataBytes}`,
    ...(processes === undefined ? [] : [`--nproc=${processes}`]),
    '--',
  ]
}

export function nodeFlags(program: ProcessProgram, isJit: boolean): string[] {
  return [
    // With the JIT comes WebAssembly; it is taken from guests, and this bounds whoever gets hold of it all the same.
    ...(isJit ? ['--enable-sharedarraybuffer-per-context', '--wasm-max-mem-pages=16'] : ['--jitless']),
    ...(process.platform === 'linux' ? [] : ['--no-node-snapshot']),
    '--no-warnings',
    '--permission',
    '--allow-addons',
    `--allow-fs-read=${program.path}`,
    `--allow-fs-read=${program.addon}`,
    '--disable-proto=throw',
    '--disable-sigusr1',
    '--max-old-space-size=128',
  ]
}

const toLaunch = ([file = '', ...args]: readonly string[], more: Partial<Launch> = {}): Launch => ({
  file,
  args,
  ...more,
})

/** The steps before Node, which `end` follows: `isJit` decides the limits. */
type Steps = (isJit: boolean, end: readonly string[]) => Launch

function confinement(tier: Tier, node: string, program: ProcessProgram, steps: Steps): Confinement {
  return {
    tier,
    launch: (isJit) => steps(isJit, [node, ...nodeFlags(program, isJit), program.path, program.addon]),
    get probe() {
      return steps(false, [node, '--jitless', '--version'])
    },
  }
}

export function withoutConfinement(program: ProcessProgram): Confinement {
  return confinement(0, process.execPath, program, (_isJit, end) => toLaunch(end))
}

export function withLimits(machine: Machine, program: ProcessProgram): Confinement {
  const setpriv = machine.tool('setpriv')
  // Rights can only be dropped by who has them: for root this leaves a root that may no more than anybody.
  const drop = machine.isRoot && machine.has('setpcap') ? ['--inh-caps=-all', '--bounding-set=-all'] : []
  const noRights = setpriv === undefined ? [] : [setpriv, '--no-new-privs', ...drop, '--pdeathsig=KILL']
  return confinement(1, machine.node, program, (isJit, end) =>
    toLaunch([...limitSteps(machine, isJit), ...noRights, ...end]),
  )
}

export function withOwnUser(machine: Machine, program: ProcessProgram, nextUid: () => number): Confinement {
  return confinement(2, machine.node, program, (isJit, end) => {
    const uid = nextUid()
    const steps = [...limitSteps(machine, isJit, processesOf(machine)), ...becomeUser(machine, uid), ...end]
    return toLaunch(steps, { uid })
  })
}

function becomeUser(machine: Machine, uid: number, bounding: readonly string[] = ['--bounding-set=-all']): string[] {
  return [
    machine.tool('setpriv') as string,
    '--no-new-privs',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    '--clear-groups',
    '--inh-caps=-all',
    ...bounding,
    '--pdeathsig=KILL',
  ]
}

/**
 * `libraries` are those of Node, the engine and, for root, of what changes the user inside. Root makes the namespaces as
 * root, which needs no user namespace, and becomes somebody else as the last step; others need a user namespace.
 */
export function withNamespaces(
  machine: Machine,
  program: ProcessProgram,
  libraries: readonly string[],
  nextUid: () => number,
): Confinement {
  const { isRoot, node } = machine
  const seccomp = seccompProgram(machine.architecture) as Buffer
  const prlimit = machine.tool('prlimit') as string
  const setpriv = isRoot ? [machine.tool('setpriv') as string] : []
  const own: [string, string][] = [...libraries, node, ...setpriv].map((path) => [path, path])
  const binds: [string, string][] = [...own, [program.path, inside.path], [program.addon, inside.addon]]
  const folders = [...new Set(binds.flatMap(([, path]) => foldersAbove(path)))]
  const identity = isRoot
    ? ['--cap-drop', 'ALL', '--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID']
    : ['--unshare-user', '--uid', '65534', '--gid', '65534', '--cap-drop', 'ALL']
  const bwrap = [
    machine.tool('bwrap') as string,
    ...['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
    ...identity,
    ...['--die-with-parent', '--new-session', '--hostname', 'sandbox', '--chdir', '/', '--clearenv'],
    ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
    // Folders on the way are made for root alone unless they are asked for.
    ...folders.flatMap((path) => ['--dir', path]),
    ...binds.flatMap(([from, to]) => ['--ro-bind', from, to]),
    ...['--remount-ro', '/'],
    ...['--seccomp', String(descriptors.seccomp), '--info-fd', String(descriptors.info), '--'],
  ]
  return confinement(3, node, inside, (isJit, end) => {
    if (!isRoot) {
      // The bound is on all processes of the user until there is a user namespace, which counts for itself.
      const late = (pid: number) => [prlimit, `--pid=${pid}`, `--nproc=${processesOf(machine)}`]
      const more = machine.countsByNamespace ? { seccomp, late } : { seccomp }
      return toLaunch([...limitSteps(machine, isJit), ...bwrap, ...end], more)
    }
    const uid = nextUid()
    const limited = limitSteps(machine, isJit, processesOf(machine))
    return toLaunch([...limited, ...bwrap, ...becomeUser(machine, uid, []), ...end], { seccomp, uid })
  })
}

function foldersAbove(path: string): string[] {
  const above = dirname(path)
  return above === '/' ? [] : [...foldersAbove(above), above]
}

/** The same with a control group for each process. */
export function withControlGroups(confinement: Confinement, groups: ControlGroups, machine: Machine): Confinement {
  const bounds = { memoryMb: baseMb.jitless + isolatesMb, processes: processesOf(machine) }
  return {
    ...confinement,
    launch: (isJit) => ({ ...confinement.launch(isJit), openGroup: () => groups.open(bounds) }),
  }
}
