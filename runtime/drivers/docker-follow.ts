/** The output of a running container as it comes; the engine reads it from its files at the pace of whoever reads here. */
import type { Readable } from 'node:stream'
import { limits } from '../limits.ts'
import type { DockerApi } from './docker-api.ts'
import { createLineReader, readFrames } from './docker-logs.ts'
import type { LogLine } from './driver.ts'

/** @returns undefined when there is no such container; ends when it has ended, and on `signal`. */
export async function followContainer(
  api: DockerApi,
  container: { readonly containerId: string; readonly id: string },
  { lines, signal }: { lines: number; signal: AbortSignal },
): Promise<AsyncIterable<readonly LogLine[]> | undefined> {
  const { containerId, id } = container
  const query = { stdout: true, stderr: true, timestamps: true, follow: true, tail: Math.max(0, Math.trunc(lines)) }
  try {
    const stream = await api.logs(containerId, query, signal)
    return stream && linesOf(stream, id, signal)
  } catch (error) {
    if (!signal.aborted) throw error
    return (await api.container(containerId)) && linesOf(undefined, id, signal)
  }
}

async function* linesOf(stream: Readable | undefined, id: string, signal: AbortSignal) {
  if (!stream) return
  const reader = createLineReader(id, limits.instanceLogBytes)
  try {
    for await (const frames of readFrames(stream)) {
      const read = frames.flatMap((frame) => reader.read(frame) ?? [])
      if (read.length > 0) yield read
    }
    const rest = reader.rest()
    if (rest.length > 0) yield rest
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    stream.destroy()
  }
}
