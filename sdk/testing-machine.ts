/** Files and programs in a test: files that lie in memory, and commands that answer what the test wrote down. */
import type { DaemonStatus, ExecCapability, ExecResult, FilesCapability } from './capabilities.ts'
import { coded } from './testing-coded.ts'

/** Texts by path, by root. A root that is not there was not granted; of those that are, everything may be read and written. */
export type FilesFixtures = Readonly<Record<string, Readonly<Record<string, string>>>>

/** What is left out is a code 0 without output. An `Error` is a refusal or failure of the host, by its own `code`. */
export type ExecFixture = Partial<ExecResult> | Error
/** Results by name of the command, or by a function. A command that is not there is refused, also one that is to stay. */
export type ExecFixtures =
  | Readonly<Record<string, ExecFixture>>
  | ((
      command: string,
      values: Readonly<Record<string, string | number>>,
    ) => ExecFixture | undefined | Promise<ExecFixture | undefined>)

export interface RanCommand {
  readonly command: string
  readonly values: Readonly<Record<string, string | number>>
}

const fromUtf8 = (text: string) => new TextEncoder().encode(text)
const toUtf8 = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
const toBase64 = (bytes: Uint8Array) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))

/** `files` is kept as `Recorded.files` says. */
export function filesOf(fixtures: FilesFixtures, files: Map<string, string>, now: () => number): FilesCapability {
  const bytes = new Map<string, Uint8Array>()
  const put = (key: string, data: Uint8Array) => {
    bytes.set(key, data)
    const text = toUtf8(data)
    files.set(key, text.includes('\ufffd') ? `base64:${toBase64(data)}` : text)
  }
  for (const [root, entries] of Object.entries(fixtures))
    for (const [path, text] of Object.entries(entries)) put(`${root}:${path}`, fromUtf8(text))

  const keyOf = (root: string, path: string): string => {
    const isFit = Object.hasOwn(fixtures, root) && path.split('/').every((part) => !['', '.', '..'].includes(part))
    if (isFit) return `${root}:${path}`
    throw coded('ORC_CAPABILITY_DENIED', `ctx.files: ${root}:${path} is not granted (grants.files)`)
  }
  const need = (root: string, path: string): Uint8Array => {
    const found = bytes.get(keyOf(root, path))
    if (found !== undefined) return found
    throw coded('ORC_CAPABILITY_FAILED', `ctx.files: ${root}:${path} does not exist`)
  }
  const infoOf = (path: string, data: Uint8Array) => ({ path, bytes: data.length, modifiedAtMs: now() })

  return {
    async read(root, path, { offset = 0, maxBytes = Number.POSITIVE_INFINITY, encoding = 'utf8' } = {}) {
      const part = need(root, path).slice(offset, offset + maxBytes)
      return encoding === 'utf8' ? toUtf8(part) : toBase64(part)
    },
    write: async (root, path, data, encoding = 'utf8') =>
      put(keyOf(root, path), encoding === 'utf8' ? fromUtf8(data) : fromBase64(data)),
    async remove(root, path) {
      bytes.delete(keyOf(root, path))
      files.delete(keyOf(root, path))
    },
    async list(root, directory = '') {
      const start = directory === '' ? `${keyOf(root, 'any').slice(0, -'any'.length)}` : `${keyOf(root, directory)}/`
      return [...bytes]
        .filter(([key]) => key.startsWith(start))
        .map(([key, data]) => infoOf(key.slice(root.length + 1), data))
        .sort((a, b) => (a.path < b.path ? -1 : 1))
    },
    async stat(root, path) {
      const found = bytes.get(keyOf(root, path))
      return found === undefined ? null : infoOf(path, found)
    },
    async tail(root, path, cursor, maxBytes = 65_536) {
      const data = need(root, path)
      const from = cursor === undefined ? data.length : Number(cursor.split(':')[2])
      const part = data.slice(from > data.length ? 0 : from).slice(0, maxBytes)
      const end = (from > data.length ? 0 : from) + part.length
      return { text: toUtf8(part), cursor: `0:0:${end}` }
    },
  }
}

export function execOf(fixtures: ExecFixtures, commands: RanCommand[]): ExecCapability {
  /** Servers that were started: they run until they are stopped, and nothing ever ends them otherwise. */
  const running = new Map<string, number>()
  const resultOf = async (command: string, values: Readonly<Record<string, string | number>>) => {
    const found =
      typeof fixtures === 'function'
        ? await fixtures(command, values)
        : Object.hasOwn(fixtures, command)
          ? fixtures[command]
          : undefined
    if (found === undefined)
      throw coded('ORC_CAPABILITY_DENIED', `ctx.exec: the test has no result for "${command}" (grants.exec)`)
    if (found instanceof Error) throw 'code' in found ? found : coded('ORC_CAPABILITY_FAILED', found.message)
    return found
  }
  const statusOf = (command: string): DaemonStatus => {
    const pid = running.get(command)
    return { isRunning: pid !== undefined, processes: pid ? 1 : 0, restarts: 0, output: '', ...(pid ? { pid } : {}) }
  }
  return {
    async run(command, values = {}) {
      commands.push({ command, values: { ...values } })
      const found = await resultOf(command, values)
      return { code: 0, signal: null, stdout: '', stderr: '', isCut: false, durationMs: 1, ...found }
    },
    async start(command, values = {}) {
      commands.push({ command: `start ${command}`, values: { ...values } })
      await resultOf(command, values)
      running.set(command, running.get(command) ?? 1_000 + running.size)
      return statusOf(command)
    },
    async stop(command) {
      commands.push({ command: `stop ${command}`, values: {} })
      running.delete(command)
    },
    async signal(command, signal) {
      commands.push({ command: `signal ${command} ${signal}`, values: {} })
      if (!running.has(command)) throw coded('ORC_CAPABILITY_FAILED', `ctx.exec: ${command} does not run`)
    },
    status: async (command) => statusOf(command),
  }
}
