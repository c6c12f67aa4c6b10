/** The process's own log: one JSON object a line on stderr (pino), or short lines when a person watches. */
import { type Logger, pino } from 'pino'

/** What hides in a log what nobody is to read. */
export interface Redaction {
  redact(text: string): string
  redactData<T>(data: T): T
}

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'> & {
  child(bindings: Record<string, unknown>): Log
  /** From now on, for every line of this log and of its children. Only the first of a process has it. */
  redactWith?(redaction: Redaction): void
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export function createLog(options: { level: LogLevel; isForPeople?: boolean }): Log {
  let redaction: Redaction | undefined
  const { level, isForPeople } = options
  const stderr = isForPeople ? undefined : pino.destination({ dest: 2, sync: true })
  const show = (line: string) => (stderr === undefined ? writeShort(line) : stderr.write(line))
  const write = (line: string) => void show(redaction === undefined ? line : redacted(line, redaction))
  const log = pino({ level, ...(isForPeople && { timestamp: pino.stdTimeFunctions.isoTime }) }, { write })
  return Object.assign(log, {
    redactWith(given: Redaction) {
      redaction = given
    },
  })
}

/** What is found in the line as a whole is taken out part by part, so that a line stays JSON whatever the value was. */
function redacted(line: string, { redact, redactData }: Redaction): string {
  return redact(line) === line ? line : `${JSON.stringify(redactData(JSON.parse(line) as unknown))}\n`
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
