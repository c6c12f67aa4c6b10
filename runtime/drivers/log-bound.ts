/**
 * Keeps the logs of all running replicas within their bound. Every log is looked at once a second; between, the free space of the
 * disk is, because it is one cheap question for all of them and shows a flood within a tenth of a second. While something floods,
 * every log is looked at ten times a second.
 * So one stream holds at most twice its share, plus what its replica can write in 0.1 s (a few tens of megabytes on a disk), and
 * for the moment until a flood is noticed `unnoticedBytes` over all replicas, or what is written in one second where others free
 * as much space as the flood takes.
 */
import { statfs } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { cutLog, sizeOf } from './log-file.ts'

const lookMs = 100
const checkMs = 1000
const unnoticedBytes = 16 * 1024 * 1024

export interface Cut {
  readonly bytes: number
  /** Another number is another file; an odd one is being made. */
  readonly generation: number
}

const uncut: Cut = { bytes: 0, generation: 0 }

export interface LogBound {
  /** Cuts each of the files that has outgrown its share; whether there was one. Never throws. */
  check(paths: Iterable<string>): Promise<boolean>
  /** What was cut off the file since this began, for whoever reads on where it stopped. */
  cutOf(path: string): Cut
  /** The file will not be asked for again. */
  forget(paths: Iterable<string>): void
  start(): void
  stop(): void
}

/** `shareBytes` is what one live file may reach before it is cut; as much again is kept beside it. */
export function createLogBound(deps: {
  dir: string
  shareBytes: number
  clock: Clock
  log: Log
  paths(): Iterable<string>
}): LogBound {
  const { dir, shareBytes, clock, log } = deps
  const busy = new Set<string>()
  const cuts = new Map<string, Cut>()
  let stopTimer: (() => void) | undefined
  let isLooking = false
  let isFlooding = false
  let lastCheckMs = 0
  let lastFreeBytes = Number.POSITIVE_INFINITY

  const cutOf = (path: string) => cuts.get(path) ?? uncut
  const cut = async (path: string) => {
    const { bytes, generation } = cutOf(path)
    cuts.set(path, { bytes, generation: generation + 1 })
    let cutBytes = 0
    try {
      cutBytes = await cutLog(path, shareBytes)
    } finally {
      cuts.set(path, { bytes: bytes + cutBytes, generation: generation + 2 })
    }
  }
  /** Whether it had to be cut. */
  const checkOne = async (path: string): Promise<boolean> => {
    if (busy.has(path)) return false
    busy.add(path)
    try {
      if ((await sizeOf(path)) <= shareBytes) return false
      await cut(path)
      return true
    } catch (error) {
      log.warn({ path, error: messageOf(error) }, 'a replica log could not be cut')
      return false
    } finally {
      busy.delete(path)
    }
  }
  const check = async (paths: Iterable<string>) => (await Promise.all(Array.from(paths, checkOne))).includes(true)
  const freeBytes = async () => {
    const disk = await statfs(dir).catch(() => undefined)
    return disk ? disk.bavail * disk.bsize : lastFreeBytes
  }
  const look = async () => {
    if (isLooking) return
    isLooking = true
    try {
      const free = await freeBytes()
      const isFilling = lastFreeBytes - free >= unnoticedBytes
      if (!isFilling && !isFlooding && clock.monotonic() - lastCheckMs < checkMs) return
      isFlooding = await check(deps.paths())
      lastCheckMs = clock.monotonic()
      lastFreeBytes = await freeBytes()
    } finally {
      isLooking = false
    }
  }
  return {
    check,
    cutOf,
    forget: (paths) => {
      for (const path of paths) cuts.delete(path)
    },
    start: () => {
      stopTimer ??= clock.every(lookMs, () => void look())
    },
    stop: () => {
      stopTimer?.()
      stopTimer = undefined
    },
  }
}
