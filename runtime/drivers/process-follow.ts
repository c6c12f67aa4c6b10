/** Goes on with what a process writes, which no one tells us of: the files are looked at, a few times a second. */
import type { Clock } from '../clock.ts'
import type { LogLine } from './driver.ts'
import type { LogCursor } from './log-cursor.ts'

const lookMs = 100
const againMs = 5

/** @param parts.hasEnded the process writes nothing more */
export async function* followFiles(parts: {
  id: string
  stdout: LogCursor
  stderr: LogCursor
  lines: number
  signal: AbortSignal
  clock: Pick<Clock, 'sleep'>
  hasEnded(): boolean
}): AsyncGenerator<readonly LogLine[]> {
  const { id, stdout, stderr, signal, clock } = parts
  const written = (stream: LogLine['stream'], lines: readonly string[]) =>
    lines.map((line): LogLine => ({ instance: id, stream, line }))
  await Promise.all([stdout.rewind(parts.lines), stderr.rewind(parts.lines)])
  while (!signal.aborted) {
    // Asked before reading: what was written before the end is read then.
    const isLast = parts.hasEnded()
    const [out, err] = await Promise.all([stdout.read(), stderr.read()])
    const lines = [...written('stdout', out.lines), ...written('stderr', err.lines)]
    const isAtEnd = out.isAtEnd && err.isAtEnd
    if (lines.length > 0) yield lines
    else if (isLast && isAtEnd) {
      const rest = [...written('stdout', stdout.rest()), ...written('stderr', stderr.rest())]
      if (rest.length > 0) yield rest
      return
    } else await clock.sleep(isAtEnd ? lookMs : againMs, signal)
  }
}
