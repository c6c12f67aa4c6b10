/** The process's own log: one JSON object a line on stderr (pino), or short lines when a person watches. */
import { type Logger, pino } from 'pino'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'> & { child(bindings: Record<string, unknown>): Log }

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export function createLog(options: { level: LogLevel; isForPeople?: boolean }): Log {
  if (!options.isForPeople) return pino({ level: options.level }, pino.destination({ dest: 2, sync: true }))
  return pino({ level: options.level, timestamp: pino.stdTimeFunctions.isoTime }, { write: (line) => writeShort(line) })
}

const levelNames: Record<number, string> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' }
const unshown = new Set(['level', 'time', 'pid', 'hostname', 'msg'])

function writeShort(line: string): void {
  const entry = JSON.parse(line) as Record<string, unknown>
  const fields = Object.entries(entry)
    .filter(([key]) => !unshown.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
  const text = `${String(entry.time).slice(11, 19)} ${levelNames[Number(entry.level)] ?? 'log'} ${typeof entry.msg === 'string' ? entry.msg : ''} ${fields}`
  process.stderr.write(`${escapeControls(text.trimEnd())}\n`)
}

/** Replaces what a terminal would obey (C0, C1, bidirectional overrides) by visible escapes. Newlines and tabs too. */
export function escapeControls(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are exactly the characters to take out
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
