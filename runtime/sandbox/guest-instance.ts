/**
 * One named instance as the host sees it. It outlives the processes that run it: calls made while its plugin restarts wait in
 * a bounded queue, for no longer than their own deadline.
 */
import { randomInt } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { codeOf, messageOf, OrchestryError } from '../errors.ts'
import { type EffectiveLimits, limits } from '../limits.ts'
import type { SandboxProcess } from './process.ts'
import type { FromGuest } from './protocol.ts'
import type { Reply, Requests } from './requests.ts'
import type {
  CallOptions,
  GuestAnswer,
  InstanceOptions,
  InstanceUsage,
  Invocation,
  SandboxInstance,
} from './sandbox.ts'
import { failAll, readSlots } from './slots.ts'

/** Calls of one instance that may await something at once; only one of them runs. */
const maxAwaiting = 16
const maxHostAnswerBytes = 2 * 1024 * 1024

export interface Channel {
  readonly process: SandboxProcess
  readonly requests: Requests
}

export interface GuestInstance extends SandboxInstance {
  /** Runs `activate` in a new isolate of that process, then lets waiting calls through. */
  attach(channel: Channel): Promise<Reply>
  /** The process died: nothing is sent until the next `attach`. */
  detach(): void
  /** The plugin is out of service: what waits fails now. */
  refuse(reason: string): void
  onPending(id: number): void
  onHostCall(message: Extract<FromGuest, { op: 'host' }>, argumentsJson: string): boolean
  /** Whether the isolate should be replaced now: it is idle, and above its quota. */
  onBeat(heapBytes: number, cpuMs: number): boolean
}

interface Waiting {
  readonly send: () => void
  readonly fail: (code: 'ORC_HOOK_NOT_SERVING' | 'ORC_HOOK_OVERLOADED', message: string) => void
}

export function createGuestInstance(options: InstanceOptions, quota: EffectiveLimits, clock: Clock): GuestInstance {
  let channel: Channel | undefined
  let isOpen = false
  let isDisposed = false
  /** Counts the isolates: each numbers its host calls from the beginning, so an answer must find the one that asked. */
  let isolate = 0
  let running = 0
  const queue: Waiting[] = []
  /** By request id: what the host knows of each hook call that is under way. */
  const underWay = new Map<number, Invocation & { hostCalls: number; sent: number; isAwaiting: boolean }>()
  const usage = {
    calls: 0,
    errors: 0,
    cpuMs: 0,
    wallMs: 0,
    heapMb: 0,
    peakHeapMb: 0,
    hostCalls: 0,
    bytesIn: 0,
    bytesOut: 0,
    drops: 0,
  }
  let cpuOfThisIsolateMs = 0

  const seed = () => String(randomInt(1, 2 ** 31))

  function next(): void {
    while (isOpen && running === 0 && underWay.size < maxAwaiting) {
      const waiting = queue.shift()
      if (waiting === undefined) return
      waiting.send()
    }
  }

  async function send(items: readonly string[], call: CallOptions): Promise<GuestAnswer[]> {
    const target = channel
    if (target === undefined) return failAll(items.length, 'the plugin is not serving', 'ORC_HOOK_NOT_SERVING')
    const body = `[${items.join(',')}]`
    const bodyBytes = Buffer.byteLength(body)
    if (bodyBytes > limits.frameToGuestBytes) {
      const message = `${bodyBytes} bytes to hand over; ${limits.frameToGuestBytes} are the most for one call`
      return failAll(items.length, message, 'ORC_HOOK_OVERLOADED')
    }
    const startedMs = clock.monotonic()
    let id = 0
    running += 1
    const reply = await target.requests.ask({ instance: options.name, hook: call.hook }, call.timeoutMs, (given) => {
      id = given
      const endpoints = call.endpoints ?? new Set<string>()
      const deadlineMs = startedMs + call.timeoutMs
      underWay.set(id, { hook: call.hook, endpoints, deadlineMs, hostCalls: 0, sent: 0, isAwaiting: false })
      target.process.send(
        {
          op: 'call',
          id,
          instance: options.name,
          hook: call.hook,
          fn: call.function,
          per: call.per,
          timeoutMs: call.timeoutMs,
          nowMs: clock.now(),
          seed: seed(),
        },
        body,
      )
    })
    const answers = reply.ok ? readSlots(reply.body, items.length) : failAll(items.length, reply.message, reply.code)
    const state = underWay.get(id)
    underWay.delete(id)
    if (state?.isAwaiting === false) running -= 1
    usage.calls += 1
    usage.wallMs += clock.monotonic() - startedMs
    usage.bytesIn += body.length
    if (reply.ok) usage.bytesOut += reply.body.length
    if (answers.some((answer) => !answer.ok)) usage.errors += 1
    next()
    return answers
  }

  function wait(items: readonly string[], call: CallOptions): Promise<GuestAnswer[]> {
    return new Promise((resolve) => {
      const entry: Waiting = {
        send() {
          stopTimer()
          resolve(send(items, call))
        },
        fail(code, message) {
          stopTimer()
          usage.errors += 1
          resolve(failAll(items.length, message, code))
        },
      }
      const stopTimer = clock.after(call.timeoutMs, () => {
        queue.splice(queue.indexOf(entry), 1)
        if (isOpen)
          entry.fail('ORC_HOOK_OVERLOADED', `it waited ${call.timeoutMs} ms behind other calls of this plugin`)
        else entry.fail('ORC_HOOK_NOT_SERVING', 'the plugin was restarting all the while')
      })
      queue.push(entry)
    })
  }

  async function answerHostCall(request: number, operation: string, argumentsJson: string, invocation: Invocation) {
    const target = channel
    const asker = isolate
    let isOk = true
    let body: string
    try {
      body = await options.onHostCall(operation, argumentsJson, invocation)
      if (body.length > maxHostAnswerBytes) {
        throw new OrchestryError(
          'ORC_CAPABILITY_LIMIT',
          `${operation}: the answer is larger than a plugin can be handed`,
        )
      }
    } catch (thrown) {
      isOk = false
      // Host errors cross as a code and our own words; a foreign error's text could name paths or addresses.
      const message = thrown instanceof OrchestryError ? messageOf(thrown) : `${operation} failed`
      const code = thrown instanceof OrchestryError ? codeOf(thrown) : 'ORC_CAPABILITY_FAILED'
      body = JSON.stringify({ code, message })
    }
    if (request === 0 || channel !== target || isolate !== asker) return
    target?.process.send({ op: 'settle', instance: options.name, request, isOk, nowMs: clock.now() }, body)
  }

  return {
    name: options.name,

    async attach(given) {
      if (isolate > 0) options.onReopen?.()
      isOpen = false
      isolate += 1
      channel = given
      cpuOfThisIsolateMs = 0
      const { process, requests } = given
      let id = 0
      const startedMs = clock.monotonic()
      const reply = await requests.ask({ instance: options.name, hook: 'activate' }, quota.startMs, (askedId) => {
        id = askedId
        const deadlineMs = startedMs + quota.startMs
        underWay.set(id, {
          hook: 'activate',
          endpoints: new Set(),
          deadlineMs,
          hostCalls: 0,
          sent: 0,
          isAwaiting: true,
        })
        process.send(
          {
            op: 'open',
            id,
            instance: options.name,
            memoryMb: quota.memoryMb,
            timeoutMs: quota.startMs,
            hostCalls: quota.hostCalls,
            outBytes: quota.outKb * 1024,
            bindings: options.bindings,
            nowMs: clock.now(),
            seed: seed(),
          },
          options.configJson,
        )
      })
      underWay.delete(id)
      if (!reply.ok) return reply
      const [slot] = readSlots(reply.body, 1)
      if (slot === undefined || !slot.ok) {
        const where = slot?.line === undefined ? '' : ` (${slot.line})`
        return { ok: false, code: 'ORC_PLUGIN_ACTIVATE_FAILED', message: `${slot?.message ?? 'no answer'}${where}` }
      }
      isOpen = !isDisposed
      running = 0
      next()
      return reply
    },

    detach() {
      isOpen = false
      channel = undefined
      running = 0
      underWay.clear()
      usage.heapMb = 0
    },

    refuse(reason) {
      for (const waiting of queue.splice(0)) waiting.fail('ORC_HOOK_NOT_SERVING', reason)
    },

    async call(items, call) {
      if (items.length === 0) return []
      if (isDisposed) return failAll(items.length, 'the plugin instance was closed', 'ORC_HOOK_NOT_SERVING')
      if (isOpen && running === 0 && queue.length === 0 && underWay.size < maxAwaiting) return send(items, call)
      if (queue.length >= limits.queuedCalls) {
        return failAll(items.length, `${queue.length} calls wait for this plugin already`, 'ORC_HOOK_OVERLOADED')
      }
      return wait(items, call)
    },

    onPending(id) {
      const call = underWay.get(id)
      if (call === undefined || call.isAwaiting) return
      call.isAwaiting = true
      running -= 1
      next()
    },

    onHostCall({ call, request, operation }, argumentsJson) {
      const invocation = underWay.get(call)
      // The bootstrap lets nobody act in the name of a call that was answered: this is not our bootstrap, or a flood.
      if (invocation === undefined) return false
      invocation.hostCalls += 1
      invocation.sent += argumentsJson.length
      usage.hostCalls += 1
      // The bootstrap counts too and would have refused; a process that goes on is not running our bootstrap.
      if (invocation.hostCalls > quota.hostCalls || invocation.sent > limits.hostCallCharacters) return false
      void answerHostCall(request, operation, argumentsJson, invocation)
      return true
    },

    onBeat(heapBytes, cpuMs) {
      usage.heapMb = heapBytes / (1024 * 1024)
      usage.peakHeapMb = Math.max(usage.peakHeapMb, usage.heapMb)
      usage.cpuMs += Math.max(0, cpuMs - cpuOfThisIsolateMs)
      cpuOfThisIsolateMs = cpuMs
      // Above its quota, but below the engine's own limit: a new isolate is cheap, and a leak never reaches the limit.
      return usage.heapMb > quota.memoryMb && isOpen && underWay.size === 0
    },

    usage: (): InstanceUsage => ({ ...usage }),
    usageRows: () => [],

    async dispose() {
      if (isDisposed) return
      isDisposed = true
      const target = isOpen ? channel : undefined
      // What still waits would come to an isolate that is gone.
      isOpen = false
      this.refuse('the plugin instance was closed')
      if (target !== undefined) {
        await send(['null'], { hook: 'lifecycle', function: 'dispose', per: 'call', timeoutMs: quota.startMs })
        await target.requests.ask({ instance: options.name, hook: 'close' }, quota.startMs, (id) => {
          target.process.send({ op: 'close', id, instance: options.name })
        })
      }
    },
  }
}
