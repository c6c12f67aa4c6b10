/** What plugins say: bounded per line, per second and per minute, harmless to a terminal, and kept in memory for `plugin logs`. */
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { escapeControls, type Log, type Redaction } from '../log.ts'
import { argumentsOf, maybe } from './arguments.ts'
import type { Capability, PluginLogLine } from './capability.ts'
import { createFloodGate } from './log-flood.ts'

/** Of a line with its fields, and of these alone. */
const lineBytes = 16 * 1024
const fieldsBytes = 4 * 1024
const linesKept = 500
const bytesKept = 1024 * 1024
const levels = ['debug', 'info', 'warn', 'error'] as const

export interface PluginLogs {
  readonly capability: Capability<'log'>
  /** The newest lines of a plugin, oldest first. */
  lines(plugin: string, limit?: number): PluginLogLine[]
}

const readLine = argumentsOf('log', Type.String(), maybe(Type.Record(Type.String(), Type.Unknown())))

export function createPluginLogs(deps: { log: Log; clock: Clock; redaction?: Redaction }): PluginLogs {
  const { log, clock, redaction } = deps
  // Before anything is escaped or cut: what was changed is not found any more.
  const redact = (text: string) => redaction?.redact(text) ?? text
  const textOf = (fields: Record<string, unknown>) => JSON.stringify(redaction?.redactData(fields) ?? fields)
  const kept = new Map<string, { lines: PluginLogLine[]; bytes: number }>()
  const sizeOf = ({ message, fields = '' }: Pick<PluginLogLine, 'message' | 'fields'>) =>
    Buffer.byteLength(message) + Buffer.byteLength(fields)

  function write(plugin: string, line: PluginLogLine): void {
    const { level, instance, message, fields } = line
    log[level]({ plugin, instance, ...(fields === undefined ? {} : { fields }) }, message)
    const shelf = kept.get(plugin) ?? { lines: [], bytes: 0 }
    kept.set(plugin, shelf)
    shelf.lines.push(line)
    shelf.bytes += sizeOf(line)
    while (shelf.lines.length > linesKept || shelf.bytes > bytesKept) {
      const oldest = shelf.lines.shift()
      if (oldest === undefined) break
      shelf.bytes -= sizeOf(oldest)
    }
  }

  return {
    lines: (plugin, limit = linesKept) => (kept.get(plugin)?.lines ?? []).slice(-limit),
    capability: {
      kind: 'log',
      forget: (plugin) => void kept.delete(plugin),
      use(_grant, caller) {
        const { plugin, instance } = caller
        const flood = createFloodGate(caller, clock, (message) =>
          write(plugin, { atMs: clock.now(), level: 'warn', instance, message }),
        )
        const operation = (level: PluginLogLine['level']) => (args: readonly unknown[]) => {
          const [message, given] = readLine(args)
          const fields = given === null ? undefined : cut(escapeControls(textOf(given)), fieldsBytes)
          const left = lineBytes - Buffer.byteLength(fields ?? '')
          const text = {
            message: cut(escapeControls(redact(message)), left),
            ...(fields === undefined ? {} : { fields }),
          }
          if (flood.admits(sizeOf(text))) write(plugin, { atMs: clock.now(), level, instance, ...text })
        }
        return {
          operations: Object.fromEntries(levels.map((level) => [level, operation(level)])),
          dispose: flood.dispose,
        }
      },
    },
  }
}

/** Whole characters, in at most so many bytes. */
function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  const kept = Buffer.from(text.slice(0, bytes))
    .subarray(0, bytes - 3)
    .toString('utf8')
  return `${kept.replace(/\ufffd+$/, '')}…`
}
