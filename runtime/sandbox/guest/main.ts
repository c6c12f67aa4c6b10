/**
 * The program of a sandbox process. It has no authority of its own: no environment, no descriptors but 0–3, no files but this
 * program and the engine. It carries texts between the channel (descriptor 3) and the isolates, and believes nothing about
 * either. When the channel ends it kills itself, whatever its isolates are doing.
 */

import { Socket } from 'node:net'
import { constants } from 'node:os'
import type ivm from 'isolated-vm'
import { limits } from '../../limits.ts'
import { createFrameReader, encodeFrame } from '../frame.ts'
import type { FromGuest, ToGuest } from '../protocol.ts'
import { type CpuAccount, createCpuAccount } from './cpu-account.ts'
import { createGuestIsolate, failureOf, type GuestIsolate, StrayRejection } from './isolate.ts'

const addonPath = process.argv[2] ?? ''
const beatMs = 100

const addon = { exports: {} as { ivm?: typeof ivm } & typeof ivm }
process.dlopen(addon, addonPath, constants.dlopen.RTLD_NOW)
const engine: typeof ivm = addon.exports.ivm ?? addon.exports

const die = (): never => process.kill(process.pid, 'SIGKILL') as never
process.on('uncaughtException', die)
process.on('unhandledRejection', die)

const channel = new Socket({ fd: 3, readable: true, writable: true })
const reader = createFrameReader({ maxFrameBytes: 8 * 1024 * 1024, maxHeaderBytes: 64 * 1024 })
interface Guest {
  readonly isolate: GuestIsolate
  readonly cpu: CpuAccount
  timeoutMs: number
}
const isolates = new Map<string, Guest>()
let source = ''

function say(message: FromGuest, body = ''): void {
  channel.write(encodeFrame(JSON.stringify(message), body))
}

/** The guest counts characters, and what crosses are bytes. */
const fits = (json: string): boolean => Buffer.byteLength(json) <= limits.bodyFromGuestBytes

const accountOf = (instance = ''): CpuAccount | undefined => isolates.get(instance)?.cpu

function sayResult(id: number, json: string, instance?: string): void {
  const cpu = accountOf(instance)
  cpu?.spend(id)
  const message: FromGuest = { op: 'result', id, ...(cpu && { cpuMs: cpu.close(id) }) }
  say(message, fits(json) ? json : '[[0,"answered more than limits.outKb"]]')
}

function sayLost(instance: string, thrown: unknown): void {
  if (thrown instanceof StrayRejection) say({ op: 'lost', instance, failure: 'guest' }, thrown.message)
  else say({ op: 'lost', instance, failure: failureOf(thrown) })
}

/** Calls whose synchronous part has not ended; and those of them that were answered already. */
const running = new Set<number>()
const answeredEarly = new Set<number>()

/** Work that wants exactly one answer; what goes wrong with the engine is told by kind. */
function answer(id: number, work: Promise<unknown>, instance?: string): void {
  running.add(id)
  work.then(
    (result) => {
      if (answeredEarly.delete(id)) return
      running.delete(id)
      if (typeof result === 'string') return sayResult(id, result, instance)
      // Nothing yet: the guest awaits something and will post its answer.
      accountOf(instance)?.spend(id)
      say({ op: 'pending', id })
    },
    (thrown: unknown) => {
      running.delete(id)
      if (answeredEarly.delete(id) && instance !== undefined) sayLost(instance, thrown)
      else if (thrown instanceof StrayRejection) sayResult(id, JSON.stringify([[0, thrown.message]]), instance)
      else say({ op: 'result', id, failure: failureOf(thrown) }, '')
    },
  )
}

function onPost(
  instance: string,
): (kind: string, call: number, request: number, operation: string, json: string) => boolean {
  return (kind, call, request, operation, json) => {
    if (kind === 'r') {
      if (running.delete(call)) answeredEarly.add(call)
      sayResult(call, json, instance)
      return true
    }
    if (!fits(json)) return false
    if (request !== 0) accountOf(instance)?.ask(request, call)
    say({ op: 'host', instance, call, request, operation }, json)
    return true
  }
}

/** An isolate that lives for one question: it sees no config and no grant. */
async function once(
  message: { memoryMb: number; timeoutMs: number },
  ask: (isolate: GuestIsolate, described: string) => Promise<string>,
) {
  const options = { memoryMb: message.memoryMb, startMs: message.timeoutMs, hostCalls: 0, outBytes: 1024 * 1024 }
  const isolate = await createGuestIsolate(engine, options, () => false)
  try {
    const description = await isolate.load(source)
    return description.startsWith('[0,') ? `[${description}]` : await ask(isolate, description)
  } finally {
    isolate.dispose()
  }
}

async function open(message: Extract<ToGuest, { op: 'open' }>, config: string): Promise<unknown> {
  const { instance, memoryMb, timeoutMs, hostCalls, outBytes } = message
  isolates.get(instance)?.isolate.dispose()
  const isolate = await createGuestIsolate(
    engine,
    { memoryMb, startMs: timeoutMs, hostCalls, outBytes },
    onPost(instance),
  )
  const cpu = createCpuAccount(isolate.cpuMs)
  isolates.set(instance, { isolate, cpu, timeoutMs })
  cpu.begin(message.id)
  const loaded = await isolate.load(source)
  if (loaded.startsWith('[0,')) return `[${loaded}]`
  const bindings = JSON.stringify(message.bindings)
  return isolate.open(message.id, message.nowMs, Number(message.seed), instance, bindings, config)
}

function onMessage(message: ToGuest, body: string): void {
  switch (message.op) {
    case 'load':
      source = body
      return say({ op: 'result', id: message.id }, '[[1,null]]')
    case 'describe':
      return answer(
        message.id,
        once(message, async (_isolate, described) => `[${described}]`),
      )
    case 'validate':
      return answer(
        message.id,
        once(message, (isolate) => isolate.validate(body)),
      )
    case 'open':
      return answer(message.id, open(message, body), message.instance)
    case 'call': {
      const target = isolates.get(message.instance)
      if (target === undefined) return say({ op: 'result', id: message.id, failure: 'gone' })
      const { id, nowMs, seed, hook, fn, per, timeoutMs } = message
      target.timeoutMs = timeoutMs
      target.cpu.begin(id)
      return answer(id, target.isolate.call(id, nowMs, Number(seed), hook, fn, per, body, timeoutMs), message.instance)
    }
    case 'settle': {
      const target = isolates.get(message.instance)
      if (target === undefined) return
      const asker = target.cpu.asker(message.request)
      target.isolate
        .deliver(message.request, message.nowMs, message.isOk, body, target.timeoutMs)
        .then(() => target.cpu.spend(asker))
        // The guest went wrong after its await: whichever call waits will never be answered.
        .catch((thrown: unknown) => sayLost(message.instance, thrown))
      return
    }
    case 'close':
      isolates.get(message.instance)?.isolate.dispose()
      isolates.delete(message.instance)
      return say({ op: 'result', id: message.id }, '[[1,null]]')
  }
}

async function beat(): Promise<void> {
  const rows: [string, number, number][] = []
  for (const [name, { isolate }] of isolates) {
    const reading = await Promise.race([isolate.measure(), patience()])
    if (reading !== undefined) rows.push([name, reading.heapBytes, reading.cpuMs])
  }
  say({ op: 'beat', isolates: rows })
  setTimeout(beat, beatMs)
}

/** Statistics of a busy isolate may never come. */
const patience = () => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 50))

channel.on('data', (chunk: Buffer) => {
  for (const { header, body } of reader.push(chunk)) onMessage(JSON.parse(header) as ToGuest, body)
})
channel.on('error', die)
channel.on('close', die)
channel.on('end', die)
say({ op: 'ready', pid: process.pid })
void beat()
