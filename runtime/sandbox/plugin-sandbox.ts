/** One plugin version: the process it has now, the instances that live in it, and what happens when it dies. */
import type { Clock } from '../clock.ts'
import { codeOf, type ErrorCode, messageOf, OrchestryError } from '../errors.ts'
import { limits as bounds, type EffectiveLimits } from '../limits.ts'
import type { Log } from '../log.ts'
import { createPace } from '../pace.ts'
import { type CpuWatch, createCpuWatch } from './cpu-watch.ts'
import { findExcess, watchEvery } from './excess.ts'
import { type Channel, createGuestInstance, type GuestInstance } from './guest-instance.ts'
import type { Death, SandboxProcess } from './process.ts'
import type { FromGuest } from './protocol.ts'
import { createRequests, failureCode, failureMessage, type OpenRequest, type Purpose, type Reply } from './requests.ts'
import { judgeRestart } from './restart-policy.ts'
import type { Bundle, IncidentAction, PluginSandbox, SandboxIncident, SandboxState } from './sandbox.ts'
import { readDescription, readSlots, readWords } from './slots.ts'
import type { Spares } from './spares.ts'
import { createTimeBudget } from './time-budget.ts'

/** An instance that leaks is one incident, not one for each isolate that it filled. */
const leakTellEveryMs = 10 * 60_000
const strayTellEveryMs = 10_000

export async function createPluginSandbox(deps: {
  bundle: Bundle
  limits: EffectiveLimits
  spares: Spares
  clock: Clock
  log: Log
}): Promise<PluginSandbox> {
  const { bundle, limits, spares, clock, log } = deps
  const instances = new Map<string, GuestInstance>()
  const deathsMs: number[] = []
  const incidentListeners = new Set<(incident: SandboxIncident) => void>()
  const stateListeners = new Set<(state: SandboxState) => void>()
  const toldMs = new Map<string, number>()
  let channel: (Channel & { readonly cpu: CpuWatch<OpenRequest> }) | undefined
  let state: SandboxState = 'starting'
  let restarts = 0
  let culprit: { code: ErrorCode; message: string; purpose: Purpose } | undefined
  let cancelRestart = () => {}

  function become(next: SandboxState): void {
    if (state === next || state === 'closed') return
    state = next
    for (const listener of stateListeners) listener(next)
  }

  function report(
    code: ErrorCode,
    message: string,
    purpose: Purpose & { line?: string },
    action?: IncidentAction,
  ): void {
    const about = { ...purpose, ...(action === undefined ? {} : { action }) }
    const incident: SandboxIncident = { code, message, ...about, atMs: clock.now() }
    for (const listener of incidentListeners) listener(incident)
  }

  /** After a timeout, an out-of-memory or a violation the process is finished, never reused. */
  function discard(code: ErrorCode, message: string, purpose: Purpose, cause?: Death['cause']): void {
    culprit ??= { code, message, purpose }
    // From here on calls wait for the next process instead of being sent to one that is about to end.
    for (const instance of instances.values()) instance.detach()
    channel?.process.kill(message, cause)
  }

  async function connect(): Promise<Channel> {
    const process = await spares.take(limits.jit)
    if (state === 'closed') {
      process.kill('its plugin was closed')
      throw new OrchestryError('ORC_HOOK_NOT_SERVING', `${bundle.plugin} was closed`)
    }
    const requests = createRequests((purpose, timeoutMs) =>
      discard('ORC_SANDBOX_TIMEOUT', `no answer within ${timeoutMs} ms`, purpose),
    )
    const nowMs = performance.now()
    const pace = createPace(
      { most: bounds.hostCallsPerSecond, perMs: 1_000, burst: bounds.hostCallsBurst },
      clock.monotonic(),
    )
    // What the process spent until now it spent on its own start.
    const cpu = createCpuWatch<OpenRequest>({ cpuMs: process.cpuMs(), nowMs })
    const budget = createTimeBudget(clock.monotonic())
    const connected = { process, requests, pace, budget, cpu }
    process.own({
      onMessage: (message, body) => onMessage(connected, message, body),
      onDeath: (death) => onDeath(connected, death),
    })
    channel = connected
    culprit = undefined
    const asked = { purpose: {}, timeoutMs: limits.startMs }
    await expectOk(requests.ask(asked, (id) => process.send({ op: 'load', id }, bundle.source)))
    return connected
  }

  /** A new isolate in the same process; when it cannot be had, in a new one. */
  async function recycle(instance: GuestInstance, connected: Channel): Promise<void> {
    const reply = await instance.attach(connected)
    if (reply.ok) return tellLeak(instance.name)
    if (channel === connected) discard(reply.code, reply.message, { instance: instance.name, hook: 'activate' })
  }

  /** What a plugin does again and again is told once in a while. */
  function isNews(what: string, everyMs: number): boolean {
    const nowMs = clock.monotonic()
    if (nowMs - (toldMs.get(what) ?? Number.NEGATIVE_INFINITY) < everyMs) return false
    toldMs.set(what, nowMs)
    return true
  }

  function tellLeak(instance: string): void {
    if (!isNews(`leak ${instance}`, leakTellEveryMs)) return
    const message = `its heap grew beyond limits.memoryMb (${limits.memoryMb}); it got a new isolate between two calls`
    report('ORC_SANDBOX_OUT_OF_MEMORY', message, { instance }, 'isolateReplaced')
  }

  function tellStray(instance: string, words: string): void {
    if (!instances.has(instance) || !isNews(`stray ${instance}`, strayTellEveryMs)) return
    const { message, line } = readWords(words)
    report('ORC_SANDBOX_GUEST_ERROR', message, { instance, ...(line === undefined ? {} : { line }) })
  }

  function onMessage(connected: Channel, message: FromGuest, body: string): void {
    const { requests } = connected
    switch (message.op) {
      case 'ready':
        return
      case 'pending':
        requests.setAwaiting(message.id)
        instances.get(requests.purposeOf(message.id)?.instance ?? '')?.onPending(message.id)
        return
      case 'result': {
        const purpose = requests.purposeOf(message.id)
        if (purpose === undefined) return discard('ORC_SANDBOX_PROTOCOL', 'an answer to no call', {}, 'violation')
        if (message.failure === undefined) requests.answer(message.id, body, message.cpuMs ?? 0)
        else {
          requests.fail(message.id, message.failure)
          discard(failureCode(message.failure), failureMessage(message.failure), purpose)
        }
        return
      }
      case 'lost': {
        // A promise that nobody caught: the isolate goes on, and so do the calls of it that await something.
        if (message.failure === 'guest') return tellStray(message.instance, body)
        const [code, words] = [failureCode(message.failure), failureMessage(message.failure)]
        const isOfIt = ({ instance }: Purpose) => instance === message.instance
        const lost = requests.open().find(({ purpose }) => isOfIt(purpose))
        requests.failAll(code, words, isOfIt)
        return discard(code, words, lost?.purpose ?? { instance: message.instance })
      }
      case 'host': {
        const isAllowed = instances.get(message.instance)?.onHostCall(message, body) ?? false
        if (!isAllowed) {
          discard(
            'ORC_SANDBOX_PROTOCOL',
            `a host call out of turn, or one too many (${message.operation})`,
            requests.purposeOf(message.call) ?? { instance: message.instance },
            'violation',
          )
        }
        return
      }
      case 'beat':
        for (const [name, heapBytes] of message.isolates) {
          const instance = instances.get(name)
          if (instance?.onBeat(heapBytes)) void recycle(instance, connected)
        }
    }
  }

  function onDeath(dead: Channel, death: Death): void {
    if (channel !== dead) return
    channel = undefined
    const code: ErrorCode = death.cause === 'violation' ? 'ORC_SANDBOX_PROTOCOL' : 'ORC_SANDBOX_CRASHED'
    const blamed = { code, message: death.message, purpose: dead.requests.suspect(), ...culprit }
    for (const instance of instances.values()) instance.detach()
    failCalls(dead, blamed)
    if (state !== 'closed' || culprit !== undefined) {
      const action = death.cause === 'exited' ? 'processReplaced' : 'processKilled'
      report(blamed.code, blamed.message, blamed.purpose, action)
    }
    if (state === 'closed' || state === 'starting') return
    deathsMs.push(clock.monotonic())
    scheduleRestart(blamed.purpose)
  }

  /** What one instance did is no failure of the others: their calls were just not answered. */
  function failCalls({ requests }: Channel, blamed: { code: ErrorCode; message: string; purpose: Purpose }): void {
    const { instance: of } = blamed.purpose
    requests.failAll(blamed.code, blamed.message, ({ instance }) => instance === undefined || instance === of)
    const who = of === undefined ? 'its process ended' : `its process was ended because of the instance ${of}`
    requests.failAll('ORC_HOOK_NOT_SERVING', `${who} before it answered; it is started again`)
  }

  function scheduleRestart(purpose: Purpose): void {
    const verdict = judgeRestart(deathsMs, clock.monotonic())
    if ('quarantine' in verdict) {
      become('quarantined')
      const message = `${verdict.quarantine}; mend it, then: orchestry plugin reset ${bundle.plugin}`
      report('ORC_PLUGIN_QUARANTINED', message, purpose, 'quarantined')
      for (const instance of instances.values()) instance.refuse('the plugin is quarantined')
      return
    }
    become('restarting')
    if (verdict.restartAfterMs === 0) void restart()
    else cancelRestart = clock.after(verdict.restartAfterMs, () => void restart())
  }

  async function restart(): Promise<void> {
    if (state !== 'restarting') return
    restarts += 1
    try {
      const connected = await connect()
      await Promise.all([...instances.values()].map((instance) => expectOk(instance.attach(connected))))
      if (channel === connected) become('serving')
    } catch (thrown) {
      log.warn({ plugin: bundle.plugin, why: messageOf(thrown) }, 'a plugin could not be restarted')
      // While the process lives, its death is what counts; one that never came to be has no death.
      if (channel !== undefined) return discard(codeOf(thrown), messageOf(thrown), { hook: 'activate' })
      if (codeOf(thrown) !== 'ORC_SANDBOX_UNAVAILABLE' || state !== 'restarting') return
      deathsMs.push(clock.monotonic())
      scheduleRestart({})
    }
  }

  const stopWatching = watchEvery(clock, (isHostBehind) => {
    if (channel === undefined || culprit !== undefined) return
    const excess = findExcess(channel, { memoryMb: limits.memoryMb, isolates: instances.size, isHostBehind })
    if (excess !== undefined) discard(excess.code, excess.message, excess.purpose)
  })

  /** While it restarts there is nothing to ask: a second process beside the one that is coming would never end. */
  async function present(): Promise<Channel> {
    if (channel !== undefined) return channel
    if (state === 'starting') return connect()
    throw new OrchestryError('ORC_HOOK_NOT_SERVING', `${bundle.plugin} is ${state}; nothing was asked of it`)
  }

  /** Questions that need no grant: asked of an isolate made for each. */
  async function askOnce(send: (id: number, process: SandboxProcess) => void): Promise<unknown> {
    const { process, requests } = await present()
    const asked = { purpose: { hook: 'load' }, timeoutMs: limits.startMs }
    const reply = await expectOk(requests.ask(asked, (id) => send(id, process)))
    const [slot] = readSlots(reply, 1)
    if (slot?.ok) return slot.value
    const where = slot?.line === undefined ? '' : ` (${slot.line})`
    throw new OrchestryError('ORC_PLUGIN_ACTIVATE_FAILED', `${bundle.plugin}: ${slot?.message ?? 'no answer'}${where}`)
  }

  let closing: Promise<void> | undefined
  async function close(): Promise<void> {
    // From here on nothing is restarted, also not when the plugin's own `dispose` never ends.
    become('closed')
    cancelRestart()
    await Promise.allSettled([...instances.values()].map((instance) => instance.dispose()))
    stopWatching()
    channel?.process.kill('it was closed')
  }

  try {
    await connect()
  } catch (thrown) {
    stopWatching()
    throw thrown
  }

  return {
    get state() {
      return state
    },
    get restarts() {
      return restarts
    },
    get pid() {
      return channel?.process.pid
    },
    get memoryMb() {
      return channel?.process.memoryMb() ?? 0
    },

    async describe() {
      const once = { memoryMb: limits.memoryMb, timeoutMs: limits.startMs }
      return readDescription(await askOnce((id, process) => process.send({ op: 'describe', id, ...once })))
    },

    async validateConfig(configJson) {
      const once = { memoryMb: limits.memoryMb, timeoutMs: limits.startMs }
      const problems = await askOnce((id, process) => process.send({ op: 'validate', id, ...once }, configJson))
      return Array.isArray(problems) ? problems.map(String) : [`validateConfig answered ${typeof problems}, not a list`]
    },

    async open(options) {
      const connected = await present()
      const instance = createGuestInstance(options, limits, clock)
      instances.set(options.name, instance)
      const reply = await instance.attach(connected)
      if (!reply.ok) {
        if (instances.get(options.name) === instance) instances.delete(options.name)
        throw new OrchestryError('ORC_PLUGIN_ACTIVATE_FAILED', `${bundle.plugin} (${options.name}): ${reply.message}`)
      }
      become('serving')
      return {
        name: options.name,
        call: instance.call,
        usage: instance.usage,
        usageByHook: instance.usageByHook,
        usageRows: instance.usageRows,
        async dispose() {
          await instance.dispose()
          if (instances.get(options.name) === instance) instances.delete(options.name)
        },
      }
    },

    async reset() {
      deathsMs.length = 0
      if (state !== 'quarantined') return
      become('restarting')
      await restart()
    },
    onIncident(listener) {
      incidentListeners.add(listener)
      return () => incidentListeners.delete(listener)
    },
    onState(listener) {
      stateListeners.add(listener)
      return () => stateListeners.delete(listener)
    },
    close: () => (closing ??= close()),
  }
}

async function expectOk(reply: Promise<Reply>): Promise<string> {
  const answer = await reply
  if (answer.ok) return answer.body
  throw new OrchestryError(answer.code, answer.message)
}
