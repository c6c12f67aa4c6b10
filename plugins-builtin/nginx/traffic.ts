/** Reads the access log as it grows, and keeps it small. */
import type { Context, EndpointSignal, Sample } from '@orchestry/sdk'
import { type LogLine, readLine, samplesOf, signalsOf } from './access-log.ts'

export interface Traffic {
  samples(ctx: Context, apps: readonly string[]): Promise<Sample[]>
  signals(ctx: Context, idOf: (app: string, address: string) => string | undefined): Promise<EndpointSignal[]>
}

const log = 'access.log'
const partBytes = 256 * 1024
/** More is not read in one go: what is beyond is passed over, and what was read stands for it. */
const partsMost = 4
const rotatedBytes = 16 * 1024 * 1024
const signalLinesMost = 20_000

export function createTraffic(): Traffic {
  let cursor: string | undefined
  let readAtMs: number | undefined
  let unread: LogLine[] = []
  let reading: Promise<unknown> = Promise.resolve()

  /** What was written since the last time. */
  async function readNew(ctx: Context): Promise<{ lines: LogLine[]; weight: number }> {
    const info = await ctx.files.stat('own', log).catch(() => null)
    if (info === null) return { lines: [], weight: 1 }
    const from = cursor === undefined ? info.bytes : Number(cursor.split(':')[2])
    const behind = Math.max(0, info.bytes - from)
    let text = ''
    for (let part = 0; part < partsMost; part += 1) {
      const tail = await ctx.files.tail('own', log, cursor, partBytes)
      cursor = tail.cursor
      text += tail.text
      if (tail.text.length < partBytes) break
    }
    // A line that is not whole yet is lost to the count, which a rate does not notice.
    const lines = text.split('\n').flatMap((line) => readLine(line) ?? [])
    const skipped = text.length === 0 || behind <= text.length ? 0 : behind - text.length
    if (skipped > 0) cursor = (await ctx.files.tail('own', log)).cursor
    if (info.bytes > rotatedBytes) await rotate(ctx)
    return { lines, weight: text.length === 0 ? 1 : (text.length + skipped) / text.length }
  }

  async function rotate(ctx: Context): Promise<void> {
    await ctx.files.remove('own', log)
    await ctx.exec.signal('serve', 'USR1').catch(() => {})
  }

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = reading.then(work, work)
    reading = mine.catch(() => {})
    return mine
  }

  async function take(ctx: Context) {
    const found = await readNew(ctx)
    unread = [...unread, ...found.lines].slice(-signalLinesMost)
    return found
  }

  let pending: { lines: LogLine[]; weight: number }[] = []
  return {
    samples: (ctx, apps) =>
      inTurn(async () => {
        const nowMs = ctx.clock.now()
        const found = [...pending, await take(ctx)]
        pending = []
        const sinceMs = readAtMs
        readAtMs = nowMs
        if (sinceMs === undefined || nowMs <= sinceMs) return []
        const lines = found.flatMap((part) => part.lines)
        const stoodFor = found.reduce((sum, part) => sum + part.lines.length * part.weight, 0)
        const weight = lines.length === 0 ? 1 : stoodFor / lines.length
        return samplesOf(apps, { lines, ms: nowMs - sinceMs, weight }, nowMs)
      }),
    signals: (ctx, idOf) =>
      inTurn(async () => {
        pending = [...pending, await take(ctx)].slice(-10)
        const lines = unread
        unread = []
        return signalsOf(lines, idOf)
      }),
  }
}
