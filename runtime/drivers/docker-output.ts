/** The output of replicas: of those that are there from the engine, of those that have ended the last of it from memory. */
import type { Readable } from 'node:stream'
import { OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { DockerApi } from './docker-api.ts'
import { collectLines, readFrames } from './docker-logs.ts'
import type { LogLine } from './driver.ts'

const mostLines = 10_000
/** Of one that has ended. */
const keptLines = 500
const keptBytes = 64 * 1024
const keptPerApp = 5
const keptInAll = 200
/** What is there comes at once; an engine that stops in the middle holds nobody up. */
const readMs = 15_000

export interface Output {
  read(containerId: string, id: string, lines: number): Promise<LogLine[] | undefined>
  /** Takes the last lines before the container is removed. */
  keep(containerId: string, of: { id: string; app: string }): Promise<void>
  kept(id: string, lines: number): LogLine[] | undefined
}

export function createOutput(api: DockerApi): Output {
  /** Oldest first. */
  let ended: { id: string; app: string; lines: readonly LogLine[] }[] = []

  const fetch = async (containerId: string, id: string, most: { lines: number; bytes: number }) => {
    if (most.lines === 0) return []
    const query = { stdout: true, stderr: true, timestamps: true, tail: most.lines }
    const isLate = AbortSignal.timeout(readMs)
    let stream: Readable | undefined
    try {
      stream = await api.logs(containerId, query, isLate)
      return stream && (await collectLines(readFrames(stream), id, most))
    } catch (error) {
      throw isLate.aborted ? unfinished(id) : error
    } finally {
      stream?.destroy()
    }
  }

  return {
    read: (containerId, id, lines) =>
      fetch(containerId, id, {
        lines: Math.min(Math.max(0, Math.trunc(lines)), mostLines),
        bytes: limits.instanceLogBytes,
      }),
    keep: async (containerId, { id, app }) => {
      const lines = (await fetch(containerId, id, { lines: keptLines, bytes: keptBytes })) ?? []
      // Somebody who was quicker has removed it, and has kept what it wrote.
      if (lines.length === 0 && ended.some((one) => one.id === id)) return
      ended = ended.filter((one) => one.id !== id)
      const ofApp = ended.filter((one) => one.app === app)
      const extra = ofApp.length >= keptPerApp ? ofApp[0] : ended.length >= keptInAll ? ended[0] : undefined
      ended = [...ended.filter((one) => one !== extra), { id, app, lines }]
    },
    kept: (id, lines) => {
      const found = ended.find((one) => one.id === id)
      return found && (lines > 0 ? found.lines.slice(-lines) : [])
    },
  }
}

const unfinished = (id: string) =>
  new OrchestryError(
    'ORC_DRIVER_UNAVAILABLE',
    `The Docker engine did not come to an end of the output of ${id} within ${readMs / 1000} s. The replica is not touched.`,
  )
