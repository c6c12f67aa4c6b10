/**
 * One named instance as the host sees it. It outlives the processes that run it: calls made while its plugin restarts wait in
 * a bounded queue, for no longer than their own deadline.
 */
import { randomInt } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { type EffectiveLimits, limits } from '../limits.ts'
import type { Pace } from '../pace.ts'
import { createHostDesk, createUnderWay, type HostDesk, type UnderWay } from './host-desk.ts'
import type { SandboxProcess } from './process.ts'
import type { FromGuest } from './protocol.ts'
import type { Reply, Requests } from './requests.ts'
import type { CallOptions, GuestAnswer, InstanceOptions, SandboxInstance } from './sandbox.ts'
import { failAll, readSlots } from './slots.ts'
import type { TimeBudget } from './time-budget.ts'
import { createUsage, onlyOf } from './usage.ts'

/** Calls of one instance that may await something at once; only one of them runs. */
const maxAwaiting = 16

export interface Channel {
  readonly process: SandboxProcess
  readonly requests: Requests
  /** Of the host calls of all its instances. */
  readonly pace: Pace
  readonly budget: TimeBudget
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
  onBeat(heapBytes: number): boolean
}

interface Waiting {
  readonly send: () => void
  readonly fail: (code: 'ORC_HOOK_NOT_SERVING' | 'ORC_HOOK_OVERLOADED', message: string) => void
}

export function createGuestInstance(options: InstanceOptions, quota: EffectiveLimits, clock: Clock): GuestInstance {
  const { name } = options
  let channel: Channel | undefined
  /** Of the isolate there is now: each numbers its host calls from the beginning, so an answer must find the one that asked. */
  let desk: HostDesk | undefined
  let wasAttached = false
  let isOpen = false
  let isDisposed = false
  let running = 0
  const queue: Waiting[] = []
  /** By request id. */
  const underWay = new Map<number, UnderWay>()
  const usage = createUsage()

  const seed = () => String(randomInt(1, 2 ** 31))

  function next(): void {
    while (isOpen && running === 0 && underWay.size < maxAwaiting) {
      const waiting = queue.shift()
      if (waiting === undefined) return
      waiting.send()
    }
  }

  /** Settles the account of a call that is over, whatever became of it. */
  function charge(
    call: UnderWay,
    startedMs: number,
    bodyBytes: number,
    reply: Reply,
    answers: readonly GuestAnswer[],
  ): void {
    const wallMs = clock.monotonic() - startedMs
    usage.charge(
      {
        hook: call.hook,
        apps: call.apps,
        // An isolate has one thread: who claims more time than passed is not believed.
        cpuMs: reply.ok ? Math.min(reply.cpuMs, wallMs) : reply.cpuMs,
        wallMs,
        hostCalls: call.hostCalls,
        bytesIn: bodyBytes + call.bytesIn,
        bytesOut: (reply.ok ? Buffer.byteLength(reply.body) : 0) + call.bytesOut,
      },
      answers,
    )
  }

  function overloaded(items: readonly string[], call: CallOptions, message: string): GuestAnswer[] {
    usage.drop(call, 1, true)
    return failAll(items.length, message, 'ORC_HOOK_OVERLOADED')
  }

  async function send(items: readonly string[], call: CallOptions): Promise<GuestAnswer[]> {
    const target = channel
    if (target === undefined) return failAll(items.length, 'the plugin is not serving', 'ORC_HOOK_NOT_SERVING')
    const body = `[${items.join(',')}]`
    const bodyBytes = Buffer.byteLength(body)
    if (bodyBytes > limits.frameToGuestBytes)
      return overloaded(
        items,
        call,
        `${bodyBytes} bytes to hand over; ${limits.frameToGuestBytes} are the most for one call`,
      )
    const { hook, function: fn, per, timeoutMs, apps, endpoints = new Set<string>(), eventDepth } = call
    const startedMs = clock.monotonic()
    const state = createUnderWay({ hook, apps, endpoints, eventDepth, deadlineMs: startedMs + timeoutMs })
    const app = onlyOf(apps)
    const purpose = { instance: name, hook, ...(app === undefined ? {} : { app }) }
    let id = 0
    running += 1
    const reply = await target.requests.ask({ purpose, timeoutMs, cpuLimitMs: quota.cpuMs }, (given) => {
      id = given
      underWay.set(id, state)
      const nowMs = clock.now()
      target.process.send({ op: 'call', id, instance: name, hook, fn, per, timeoutMs, nowMs, seed: seed() }, body)
    })
    const answers = reply.ok ? readSlots(reply.body, items.length) : failAll(items.length, reply.message, reply.code)
    // A process that died took its calls with it, and the count begins anew in the next one.
    if (underWay.delete(id) && !state.isAwaiting) running -= 1
    charge(state, startedMs, bodyBytes, reply, answers)
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
          usage.drop(call, 1, true)
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

  return {
    name,

    async attach(given) {
      if (wasAttached) options.onReopen?.()
      wasAttached = true
      isOpen = false
      channel = given
      const { process, requests, pace, budget } = given
      desk?.close()
      desk = createHostDesk({
        instance: name,
        onHostCall: options.onHostCall,
        mostPerCall: quota.hostCalls,
        process,
        pace,
        budget,
        clock,
        usage,
      })
      let id = 0
      const startedMs = clock.monotonic()
      const deadlineMs = startedMs + quota.startMs
      const state = createUnderWay({ hook: 'activate', apps: undefined, endpoints: new Set(), deadlineMs })
      state.isAwaiting = true
      const asked = { purpose: { instance: name, hook: 'activate' }, timeoutMs: quota.startMs }
      const reply = await requests.ask(asked, (askedId) => {
        id = askedId
        underWay.set(id, state)
        process.send(
          {
            op: 'open',
            id,
            instance: name,
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
      const answers = reply.ok ? readSlots(reply.body, 1) : failAll(1, reply.message, reply.code)
      charge(state, startedMs, Buffer.byteLength(options.configJson), reply, answers)
      if (!reply.ok) return reply
      const [slot] = answers
      if (slot === undefined || !slot.ok) {
        const where = slot?.line === undefined ? '' : ` (${slot.line})`
        const message = `${slot?.message ?? 'no answer'}${where}`
        return { ok: false, code: 'ORC_PLUGIN_ACTIVATE_FAILED', message, cpuMs: reply.cpuMs }
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
      desk?.close()
      usage.setHeapMb(0)
    },

    refuse(reason) {
      for (const waiting of queue.splice(0)) waiting.fail('ORC_HOOK_NOT_SERVING', reason)
    },

    async call(items, call) {
      if (items.length === 0) return []
      if (isDisposed) return failAll(items.length, 'the plugin instance was closed', 'ORC_HOOK_NOT_SERVING')
      if (isOpen && running === 0 && queue.length === 0 && underWay.size < maxAwaiting) return send(items, call)
      if (queue.length >= limits.queuedCalls)
        return overloaded(items, call, `${queue.length} calls wait for this plugin already`)
      return wait(items, call)
    },

    onPending(id) {
      const call = underWay.get(id)
      if (call === undefined || call.isAwaiting) return
      call.isAwaiting = true
      running -= 1
      next()
    },

    onHostCall(message, argumentsJson) {
      const call = underWay.get(message.call)
      // The bootstrap lets nobody act in the name of a call that was answered: this is not our bootstrap, or a flood.
      if (call === undefined || desk === undefined) return false
      return desk.take(message, argumentsJson, call)
    },

    onBeat(heapBytes) {
      usage.setHeapMb(heapBytes / (1024 * 1024))
      // Above its quota, but below the engine's own limit: a new isolate is cheap, and a leak never reaches the limit.
      return usage.heapMb > quota.memoryMb && isOpen && underWay.size === 0
    },

    usage: usage.total,
    usageByHook: usage.byHook,
    usageRows: usage.rows,

    async dispose() {
      if (isDisposed) return
      isDisposed = true
      const target = isOpen ? channel : undefined
      // What still waits would come to an isolate that is gone.
      isOpen = false
      this.refuse('the plugin instance was closed')
      if (target !== undefined) {
        await send(['null'], { hook: 'lifecycle', function: 'dispose', per: 'call', timeoutMs: quota.startMs })
        const asked = { purpose: { instance: name, hook: 'close' }, timeoutMs: quota.startMs }
        await target.requests.ask(asked, (id) => target.process.send({ op: 'close', id, instance: name }))
      }
      desk?.close()
    },
  }
}
