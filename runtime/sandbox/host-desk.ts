/** Where the host calls of one isolate are answered: bounded again, in their order, at the pace of their process. */
import type { Clock } from '../clock.ts'
import { codeOf, messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Pace } from '../pace.ts'
import { createLane } from './lane.ts'
import type { SandboxProcess } from './process.ts'
import type { FromGuest } from './protocol.ts'
import type { HostCall, Invocation } from './sandbox.ts'
import type { TimeBudget } from './time-budget.ts'
import type { Usage } from './usage.ts'

const maxAnswerCharacters = 2 * 1024 * 1024

/** What the host knows of a hook call that is under way. */
export interface UnderWay extends Invocation {
  readonly apps: readonly string[] | undefined
  isAwaiting: boolean
  hostCalls: number
  /** Characters of the arguments of its host calls, and of what they brought. */
  sent: number
  received: number
  bytesIn: number
  bytesOut: number
}

export function createUnderWay(
  call: Pick<UnderWay, 'hook' | 'apps' | 'endpoints' | 'eventDepth' | 'deadlineMs'>,
): UnderWay {
  return { ...call, isAwaiting: false, hostCalls: 0, sent: 0, received: 0, bytesIn: 0, bytesOut: 0 }
}

export interface HostDesk {
  /** False for what our own bootstrap would never send. */
  take(message: Extract<FromGuest, { op: 'host' }>, argumentsJson: string, call: UnderWay): boolean
  /** The isolate is gone: nobody is answered any more, and what waits is not begun. */
  close(): void
}

export function createHostDesk(deps: {
  instance: string
  onHostCall: HostCall
  mostPerCall: number
  process: SandboxProcess
  pace: Pace
  budget: TimeBudget
  clock: Clock
  usage: Pick<Usage, 'drop'>
}): HostDesk {
  const { instance, process, clock, usage } = deps
  const lane = createLane(deps)
  let isClosed = false
  /** What waits may be of calls that are over by now; it is charged to the hook that was heard last. */
  let lastHook = ''

  function settle(call: UnderWay, request: number, isOk: boolean, body: string): void {
    if (request === 0 || isClosed) return
    call.bytesIn += Buffer.byteLength(body)
    process.send({ op: 'settle', instance, request, isOk, nowMs: clock.now() }, body)
  }

  /** Host errors cross as a code and our own words; a foreign error's text could name paths or addresses. */
  function settleFailed(call: UnderWay, request: number, operation: string, thrown: unknown): void {
    const message = thrown instanceof OrchestryError ? messageOf(thrown) : `${operation} failed`
    const code = thrown instanceof OrchestryError ? codeOf(thrown) : 'ORC_CAPABILITY_FAILED'
    settle(call, request, false, JSON.stringify({ code, message }))
  }

  function refuse(call: UnderWay, why: string): OrchestryError {
    usage.drop(call, 1, false)
    return new OrchestryError('ORC_CAPABILITY_LIMIT', why)
  }

  async function answer(request: number, operation: string, argumentsJson: string, call: UnderWay): Promise<void> {
    try {
      const body = await deps.onHostCall(operation, argumentsJson, call)
      if (body.length > maxAnswerCharacters)
        throw refuse(call, `${operation}: the answer is larger than a plugin can be handed`)
      call.received += body.length
      if (call.received > limits.hostAnswerCharacters)
        throw refuse(call, `${operation}: more answers in one call than a plugin can be handed`)
      settle(call, request, true, body)
    } catch (thrown) {
      settleFailed(call, request, operation, thrown)
    }
  }

  return {
    take({ request, operation }, argumentsJson, call) {
      lastHook = call.hook
      call.hostCalls += 1
      call.sent += argumentsJson.length
      call.bytesOut += Buffer.byteLength(argumentsJson)
      // The bootstrap counts too and would have refused; a process that goes on is not running our bootstrap.
      if (call.hostCalls > deps.mostPerCall || call.sent > limits.hostCallCharacters) return false
      if (!lane.add(argumentsJson.length, () => answer(request, operation, argumentsJson, call))) {
        const why = `${operation}: too many host calls of this plugin wait already; await some before making more`
        settleFailed(call, request, operation, refuse(call, why))
      }
      return true
    },
    close() {
      if (isClosed) return
      isClosed = true
      const dropped = lane.close()
      if (dropped > 0) usage.drop({ hook: lastHook }, dropped, false)
    },
  }
}
