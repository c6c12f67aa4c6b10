/** What plugins say: bounded per line and per minute, harmless to a terminal, and kept in memory for `plugin logs`. */
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { pluginDefaults } from '../limits.ts'
import { escapeControls, type Log, type Redaction } from '../log.ts'
import { argumentsOf, maybe } from './arguments.ts'
import type { Caller, Capability } from './capability.ts'

export const pluginLogLevels = ['debug', 'info', 'warn', 'error'] as const
export type PluginLogLevel = (typeof pluginLogLevels)[number]

export interface PluginLogLine {
  readonly atMs: number
  readonly level: PluginLogLevel
  readonly instance: string
  readonly message: string
  /** JSON text of the fields, controls escaped. */
  readonly fields?: string
}

const lineBytes = 16 * 1024
const linesKept = 500
const bytesKept = 1024 * 1024
const windowMs = 60_000

export interface PluginLogs {
  readonly capability: Capability<'log'>
  /** The newest lines of a plugin, oldest first. */
  lines(plugin: string, limit?: number): PluginLogLine[]
  forget(plugin: string): void
}

const readLine = argumentsOf('log', Type.String(), maybe(Type.Record(Type.String(), Type.Unknown())))

export function createPluginLogs(deps: { log: Log; clock: Clock; redaction?: Redaction }): PluginLogs {
  const { log, clock, redaction } = deps
  // Before anything is escaped or cut: what was changed is not found any more.
  const redact = (text: string) => redaction?.redact(text) ?? text
  const textOf = (fields: Record<string, unknown>) => JSON.stringify(redaction?.redactData(fields) ?? fields)
  const kept = new Map<string, { lines: PluginLogLine[]; bytes: number }>()
  const sizeOf = (line: PluginLogLine) => line.message.length + (line.fields?.length ?? 0)

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
    forget: (plugin) => void kept.delete(plugin),
    capability: {
      kind: 'log',
      use(_grant, caller) {
        const flood = createFloodGate(caller, clock, write)
        const operation = (level: PluginLogLevel) => (args: readonly unknown[]) => {
          const [message, fields] = readLine(args)
          const line = {
            atMs: clock.now(),
            level,
            instance: caller.instance,
            message: cut(escapeControls(redact(message)), lineBytes),
            ...(fields === null ? {} : { fields: cut(escapeControls(textOf(fields)), lineBytes / 4) }),
          }
          if (flood.admits(sizeOf(line))) write(caller.plugin, line)
        }
        return {
          operations: Object.fromEntries(pluginLogLevels.map((level) => [level, operation(level)])),
          dispose: flood.dispose,
        }
      },
    },
  }
}

/** Counts bytes per minute; what is above is dropped, and one line at the end of the minute says how much. */
function createFloodGate(caller: Caller, clock: Clock, write: (plugin: string, line: PluginLogLine) => void) {
  const allowedBytes = (caller.limits?.logKbPerMin ?? pluginDefaults.logKbPerMin) * 1024
  let windowEndsMs = 0
  let bytes = 0
  let dropped = 0
  let cancel = () => {}

  function report(): void {
    if (dropped === 0) return
    const message = `dropped ${dropped} log lines: more than ${allowedBytes / 1024} KB in a minute`
    dropped = 0
    write(caller.plugin, { atMs: clock.now(), level: 'warn', instance: caller.instance, message })
  }

  return {
    admits(size: number): boolean {
      const nowMs = clock.monotonic()
      if (nowMs >= windowEndsMs) {
        cancel()
        report()
        windowEndsMs = nowMs + windowMs
        bytes = 0
      }
      bytes += size
      if (bytes <= allowedBytes) return true
      dropped += 1
      if (dropped === 1) cancel = clock.after(windowEndsMs - nowMs, report)
      return false
    },
    dispose() {
      cancel()
      report()
    },
  }
}

const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length - 1)}…` : text)
