/** Reads the access log as it grows, and keeps it small. */
import type { Context, EndpointSignal, Sample } from '@orchestry/sdk'
import { type LogLine, readLine, samplesOf, signalsOf } from './access-log.ts'
import type { Site } from './site.ts'

type IdOf = (app: string, address: string) => string | undefined
export interface Traffic {
  samples(ctx: Context, log: Site['log'], apps: readonly string[]): Promise<Sample[]>
  signals(log: Site['log'], idOf: IdOf): Promise<EndpointSignal[]>
}

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
  async function readNew({ files, root, path, rotate }: Site['log']): Promise<{ lines: LogLine[]; weight: number }> {
    const info = await files.stat(root, path).catch(() => null)
    if (info === null) return { lines: [], weight: 1 }
    const from = cursor === undefined ? info.bytes : Number(cursor.split(':')[2])
    const behind = Math.max(0, info.bytes - from)
    let text = ''
    for (let part = 0; part < partsMost; part += 1) {
      const tail = await files.tail(root, path, cursor, partBytes)
      cursor = tail.cursor
      text += tail.text
      if (tail.text.length < partBytes) break
    }
    // A line that is not whole yet is lost to the count, which a rate does not notice.
    const lines = text.split('\n').flatMap((line) => readLine(line) ?? [])
    const skipped = text.length === 0 || behind <= text.length ? 0 : behind - text.length
    if (skipped > 0) cursor = (await files.tail(root, path)).cursor
    if (info.bytes > rotatedBytes) await rotate?.()
    return { lines, weight: text.length === 0 ? 1 : (text.length + skipped) / text.length }
  }

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = reading.then(work, work)
    reading = mine.catch(() => {})
    return mine
  }

  async function take(log: Site['log']) {
    const found = await readNew(log)
    unread = [...unread, ...found.lines].slice(-signalLinesMost)
    return found
  }

  let pending: { lines: LogLine[]; weight: number }[] = []
  return {
    samples: (ctx, log, apps) =>
      inTurn(async () => {
        const nowMs = ctx.clock.now()
        const found = [...pending, await take(log)]
        pending = []
        const sinceMs = readAtMs
        readAtMs = nowMs
        if (sinceMs === undefined || nowMs <= sinceMs) return []
        const lines = found.flatMap((part) => part.lines)
        const stoodFor = found.reduce((sum, part) => sum + part.lines.length * part.weight, 0)
        const weight = lines.length === 0 ? 1 : stoodFor / lines.length
        return samplesOf(apps, { lines, ms: nowMs - sinceMs, weight }, nowMs)
      }),
    signals: (log, idOf) =>
      inTurn(async () => {
        pending = [...pending, await take(log)].slice(-10)
        const lines = unread
        unread = []
        return signalsOf(lines, idOf)
      }),
  }
}
