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
import type { Caller, Capability, CapabilityUse, GrantOf } from './capability.ts'
import { type ArgsTemplate, fillTemplate, readTemplate } from './exec-args.ts'
import { createWrapper, launchOf } from './exec-confine.ts'
import { createProgramVerifier, type ProgramVerifier, programProblem } from './exec-program.ts'
import { type RunningCommand, startCommand } from './exec-run.ts'
import { makeScratch } from './exec-scratch.ts'
import { createInFlight } from './slots-in-flight.ts'

const atOnce = 4
const waitingMost = 64
const defaults = { timeoutMs: 10_000, maxOutputKb: 64 }
/** More than usual: what ends a command and all that it started takes its time too. */
const slackMs = 150

const readRun = argumentsOf(
  'exec.run',
  Type.String(),
  maybe(Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()]))),
)
type Command = GrantOf<'exec'>['commands'][number]

interface ExecDeps {
  readonly clock: Clock
  /** Paths of this Orchestry itself; no program in there may be granted. */
  readonly reserved: readonly string[]
}

export function createExecCapability(deps: ExecDeps): Capability<'exec'> {
  const verifier = createProgramVerifier(deps.clock)
  const wrapperFor = createWrapper()
  return {
    kind: 'exec',
    check: (grant) => problemsOf(grant, deps.reserved),
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
    use: (grant, caller) => useExec(grant, caller, deps, verifier, wrapperFor),
  }
}

function problemsOf(grant: GrantOf<'exec'>, reserved: readonly string[]): string[] {
  const problems: string[] = []
  const names = new Set<string>()
  for (const { name, path, args = [] } of grant.commands) {
    if (names.has(name)) problems.push(`two commands have the name "${name}"`)
    names.add(name)
    const own: string[] = []
    const problem = programProblem(path, reserved)
    if (problem !== undefined) own.push(problem)
    readTemplate(args, own)
    problems.push(...own.map((text) => `the command "${name}": ${text}`))
  }
  return problems
}

function useExec(
  grant: GrantOf<'exec'>,
  caller: Caller,
  { clock, reserved }: ExecDeps,
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

  async function runOne(
    command: Command & { template: ArgsTemplate },
    args: readonly string[],
    invocation: Invocation,
  ) {
    const problem = programProblem(command.path, reserved)
    if (problem !== undefined) throw denied(`${problem}. Nothing was run.`)
    if (command.digest === undefined)
      throw denied(`the grant of "${command.name}" has no digest, so the program cannot be verified. Approve it again.`)
    const { handle, realPath } = await verifier.open(command.path, command.digest)
    try {
      const scratch = await makeScratch()
      try {
        const timeoutMs = timeLeft('ctx.exec', invocation, clock, command.timeoutMs ?? defaults.timeoutMs, slackMs)
        const wrapper = await wrapperFor(Math.ceil(timeoutMs / 1000) + 1)
        // Nothing is awaited between this and the start.
        if (isDisposed)
          throw new OrchestryError('ORC_HOOK_OVERLOADED', 'ctx.exec: the plugin instance was closed. Nothing was run.')
        const launch = launchOf(command.path, realPath, args, wrapper)
        const bounds = { timeoutMs, outputBytes: (command.maxOutputKb ?? defaults.maxOutputKb) * 1024 }
        const started = startCommand(
          { name: command.name, launch, program: handle, scratch: scratch.path },
          bounds,
          clock,
        )
        running.add(started)
        return await started.result.finally(() => running.delete(started))
      } finally {
        await scratch.remove()
      }
    } finally {
      await handle.close()
    }
  }

  return {
    operations: {
      async run(args, invocation) {
        const [name, values] = readRun(args)
        const command = commands.get(name)
        if (command === undefined) {
          const shown = name.slice(0, 64)
          caller.onUse?.('run', shown, false)
          throw denied(`the command "${shown}" is not granted; there are: ${[...commands.keys()].join(', ')}`)
        }
        const final = fillTemplate(command.template, values ?? {})
        const target = [name, ...final].join(' ')
        try {
          const result = await inFlight.run(() => runOne(command, final, invocation))
          caller.onUse?.('run', target, true)
          return result
        } catch (error) {
          caller.onUse?.('run', target, codeOf(error) !== 'ORC_CAPABILITY_DENIED')
          throw error
        }
      },
    },
    reset: endAll,
    dispose() {
      isDisposed = true
      endAll()
    },
  }
}

const denied = (why: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.exec: ${why}`)
