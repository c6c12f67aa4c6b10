/**
 * Lets a plugin run the commands that its record names: a program known by its digest, with arguments whose holes the plugin
 * fills. There is no shell, no environment, no input, and no process of it is left when the answer comes.
 */
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { codeOf, OrchestryError } from '../errors.ts'
import type { Invocation } from '../sandbox/sandbox.ts'
import { argumentsOf, maybe } from './arguments.ts'
import { timeLeft } from './call-time.ts'
import type { Caller, Capability, CapabilityUse, GrantedInstance, GrantOf } from './capability.ts'
import type { Daemons } from './daemon.ts'
import { type ArgsTemplate, fillTemplate, readTemplate } from './exec-args.ts'
import { createWrapper, launchOf } from './exec-confine.ts'
import { createProgramVerifier, type ProgramVerifier, programProblem } from './exec-program.ts'
import { type RunningCommand, startCommand } from './exec-run.ts'
import { makeScratch, type Scratch } from './exec-scratch.ts'
import type { OwnDirs } from './own-dir.ts'
import { createInFlight } from './slots-in-flight.ts'

const atOnce = 4
const waitingMost = 64
const defaults = { timeoutMs: 10_000, maxOutputKb: 64, stopMs: 5_000 }
/** More than usual: what ends a command and all that it started takes its time too. */
const slackMs = 150

const values = maybe(Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])))
const readRun = argumentsOf('exec.run', Type.String(), values)
const readStart = argumentsOf('exec.start', Type.String(), values)
const readSignal = argumentsOf('exec.signal', Type.String(), Type.String())
const readStop = argumentsOf('exec.stop', Type.String())
const readStatus = argumentsOf('exec.status', Type.String())
type Command = GrantOf<'exec'>['commands'][number]

interface ExecDeps {
  readonly clock: Clock
  /** Paths of this Orchestry itself; no program in there may be granted. */
  readonly reserved: readonly string[]
  /** Without these no command is granted that works in a directory of its own or stays. */
  readonly ownDirs?: OwnDirs
  readonly daemons?: Daemons
}

export function createExecCapability(deps: ExecDeps): Capability<'exec'> {
  const verifier = createProgramVerifier(deps.clock)
  const wrapperFor = createWrapper()
  return {
    kind: 'exec',
    check: (grant) => problemsOf(grant, deps),
    async pin(grant) {
      const commands: Command[] = []
      for (const command of grant.commands) {
        const problem = programProblem(command.path, deps.reserved)
        if (problem !== undefined)
          throw new OrchestryError('ORC_CAPABILITY_DENIED', `The command "${command.name}": ${problem}.`)
        const { handle, digest } = await verifier.open(command.path, command.digest)
        await handle.close()
        commands.push({ ...command, digest })
      }
      return { ...grant, commands }
    },
    narrow(grant, targets) {
      const used = new Set(targets.map((target) => target.split(' ', 1)[0]))
      const commands = grant.commands.filter(({ name }) => used.has(name))
      return commands.length === 0 ? undefined : { ...grant, commands }
    },
    retain: async (instances) =>
      deps.daemons?.retain(({ plugin, instance, command, path, digest }) =>
        instances
          .filter((one) => one.plugin === plugin && one.instance === instance)
          .flatMap(daemonsOf)
          .some((one) => one.name === command && one.path === path && one.digest === digest),
      ),
    use: (grant, caller) => useExec(grant, caller, deps, verifier, wrapperFor),
  }
}

function problemsOf(grant: GrantOf<'exec'>, { reserved, daemons, ownDirs }: ExecDeps): string[] {
  const problems: string[] = []
  const names = new Set<string>()
  for (const { name, path, args = [], daemon, workingDir } of grant.commands) {
    if (names.has(name)) problems.push(`two commands have the name "${name}"`)
    names.add(name)
    const own: string[] = []
    const problem = programProblem(path, reserved)
    if (problem !== undefined) own.push(problem)
    readTemplate(args, own)
    if (daemon !== undefined && (daemons === undefined || process.platform !== 'linux'))
      own.push('a server that stays ("daemon") can be granted on Linux only')
    if (workingDir !== undefined && ownDirs === undefined) own.push('there is no directory for it to work in')
    problems.push(...own.map((text) => `the command "${name}": ${text}`))
  }
  return problems
}

function useExec(
  grant: GrantOf<'exec'>,
  caller: Caller,
  { clock, reserved, ownDirs, daemons }: ExecDeps,
  verifier: ProgramVerifier,
  wrapperFor: ReturnType<typeof createWrapper>,
): CapabilityUse {
  const commands = new Map(
    grant.commands.map((command) => [command.name, { ...command, template: readTemplate(command.args ?? [], []) }]),
  )
  const inFlight = createInFlight(atOnce, waitingMost, 'ctx.exec')
  const running = new Set<RunningCommand>()
  let isDisposed = false
  const endAll = () => {
    for (const command of running) command.end()
  }

  /** The digest to run it by, when it may be run at all. */
  function requireRunnable(command: Command): string {
    const problem = programProblem(command.path, reserved)
    if (problem !== undefined) throw denied(`${problem}. Nothing was run.`)
    if (command.digest !== undefined) return command.digest
    throw denied(`the grant of "${command.name}" has no digest, so the program cannot be verified. Approve it again.`)
  }

  /** Empty and gone afterwards, unless the instance's own directory was granted. */
  async function placeOf(command: Command): Promise<Scratch> {
    if (command.workingDir === undefined || ownDirs === undefined) return await makeScratch()
    return { path: await ownDirs.ensure(caller.plugin, caller.instance), remove: async () => {}, isShared: true }
  }

  async function runOne(
    command: Command & { template: ArgsTemplate },
    args: readonly string[],
    invocation: Invocation,
  ) {
    const { handle, realPath } = await verifier.open(command.path, requireRunnable(command), caller.plugin)
    try {
      const scratch = await placeOf(command)
      try {
        const timeoutMs = timeLeft('ctx.exec', invocation, clock, command.timeoutMs ?? defaults.timeoutMs, slackMs)
        const wrapper = await wrapperFor(Math.ceil(timeoutMs / 1000) + 1)
        // Nothing is awaited between this and the start.
        if (isDisposed)
          throw new OrchestryError('ORC_HOOK_OVERLOADED', 'ctx.exec: the plugin instance was closed. Nothing was run.')
        const launch = launchOf(command.path, realPath, args, wrapper)
        const bounds = { timeoutMs, outputBytes: (command.maxOutputKb ?? defaults.maxOutputKb) * 1024 }
        const { path, isShared = false } = scratch
        const place = { scratch: path, isShared }
        const started = startCommand({ name: command.name, launch, program: handle, ...place }, bounds, clock)
        running.add(started)
        return await started.result.finally(() => running.delete(started))
      } finally {
        await scratch.remove()
      }
    } finally {
      await handle.close()
    }
  }

  function find(operation: string, name: string, isDaemon: boolean) {
    const command = commands.get(name)
    if (command !== undefined && (command.daemon !== undefined) === isDaemon) return command
    const shown = name.slice(0, 64)
    caller.onUse?.(operation, shown, false)
    if (command !== undefined)
      throw denied(
        isDaemon
          ? `"${shown}" was not granted as a server that stays ("daemon"); use ctx.exec.run`
          : `"${shown}" is a server that stays; use ctx.exec.start`,
      )
    throw denied(`the command "${shown}" is not granted; there are: ${[...commands.keys()].join(', ')}`)
  }

  /** Tells what it was about, and whether that was allowed. */
  async function told<T>(operation: string, target: string, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      caller.onUse?.(operation, target, true)
      return result
    } catch (error) {
      caller.onUse?.(operation, target, codeOf(error) !== 'ORC_CAPABILITY_DENIED')
      throw error
    }
  }

  /** What an operation on a server needs; one that was granted has somebody who keeps it. */
  function findDaemon(operation: string, name: string) {
    const command = find(operation, name, true)
    if (daemons === undefined) throw denied('no server can be kept here')
    return { command, daemons, name: { plugin: caller.plugin, instance: caller.instance, command: command.name } }
  }

  return {
    operations: {
      async run(args, invocation) {
        const [name, values] = readRun(args)
        const command = find('run', name, false)
        const final = fillTemplate(command.template, values ?? {})
        return await told('run', [name, ...final].join(' '), () =>
          inFlight.run(() => runOne(command, final, invocation)),
        )
      },
      async start(args) {
        const [given, values] = readStart(args)
        const { command, daemons: keeper, name } = findDaemon('start', given)
        const final = fillTemplate(command.template, values ?? {})
        return await told('start', [given, ...final].join(' '), async () => {
          const digest = requireRunnable(command)
          if (isDisposed)
            throw new OrchestryError(
              'ORC_HOOK_NOT_SERVING',
              'ctx.exec: the plugin instance was closed. Nothing was run.',
            )
          return await keeper.start({ ...name, ...daemonOf(command), path: command.path, digest, args: final })
        })
      },
      async stop(args) {
        const { daemons: keeper, name } = findDaemon('stop', readStop(args)[0])
        return await told('stop', name.command, () => keeper.stop(name))
      },
      async signal(args) {
        const [given, signal] = readSignal(args)
        const { command, daemons: keeper, name } = findDaemon('signal', given)
        return await told('signal', `${given} ${signal.slice(0, 16)}`, async () => {
          const granted: readonly string[] = command.daemon?.signals ?? []
          if (!granted.includes(signal))
            throw denied(
              `the signal "${signal.slice(0, 16)}" is not granted; there are: ${granted.join(', ') || 'none'}`,
            )
          await keeper.signal(name, `SIG${signal}` as NodeJS.Signals)
        })
      },
      async status(args) {
        const { daemons: keeper, name } = findDaemon('status', readStatus(args)[0])
        return await told('status', name.command, () => keeper.status(name))
      },
    },
    reset: endAll,
    dispose() {
      isDisposed = true
      endAll()
    },
  }
}

const daemonsOf = ({ grants }: GrantedInstance): Command[] =>
  grants.flatMap((grant) => (grant.kind === 'exec' ? grant.commands : [])).filter(({ daemon }) => daemon !== undefined)

function daemonOf({ daemon, workingDir }: Command) {
  const { stopSignal = 'TERM', stopMs = defaults.stopMs } = daemon ?? {}
  return { isInOwnDir: workingDir !== undefined, stopSignal: `SIG${stopSignal}` as NodeJS.Signals, stopMs }
}

const denied = (why: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.exec: ${why}`)
