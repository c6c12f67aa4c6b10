/**
 * All that a command prints goes through here, and here every text loses what a terminal would obey: names, log lines and
 * error texts come from apps and plugins. Colour is put on after that, so that only ours is left.
 */
import { createInterface } from 'node:readline/promises'
import { styleText } from 'node:util'
import { escapeControls } from '../log.ts'

type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan'
/** A text, or a text with a look. */
export type Part = string | { readonly text: string; readonly style: Style }

export interface TerminalStreams {
  readonly stdin: NodeJS.ReadableStream & { isTTY?: boolean }
  readonly stdout: NodeJS.WritableStream & { isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream & { isTTY?: boolean }
  readonly env: NodeJS.ProcessEnv
}

export interface Terminal {
  /** One line on stdout. A line break inside a part is shown as an escape. */
  say(...parts: Part[]): void
  /** One line on stderr. */
  complain(...parts: Part[]): void
  /** A text of several lines as it is, except for what a terminal would obey. */
  sayLines(text: string): void
  /** Rows under their heads, without frames. */
  table(head: readonly string[], rows: readonly (readonly Part[])[]): Promise<void>
  /** For programs: what is not printable is escaped. `isLine` for one object a line. */
  json(value: unknown, options?: { isLine?: boolean }): void
  /** Shows the text while the promise takes longer than a second, if somebody watches. */
  during<T>(text: string, promise: Promise<T>): Promise<T>
  /** Whether there is somebody to ask. */
  readonly canAsk: boolean
  /** Undefined where nobody can be asked. */
  confirm(question: string): Promise<boolean | undefined>
}

export const styled = (style: Style, text: string): Part => ({ text, style })

const noFrame = Object.fromEntries(
  ['top', 'bottom', 'mid', 'left', 'right'].flatMap((side) =>
    [side, `${side}-mid`, `${side}-left`, `${side}-right`].map((name) => [name, '']),
  ),
)

export function createTerminal({ stdin, stdout, stderr, env }: TerminalStreams): Terminal {
  const isColoured = (stream: { isTTY?: boolean }) => Boolean(stream.isTTY) && !env.NO_COLOR && env.TERM !== 'dumb'
  const render = (part: Part, stream: { isTTY?: boolean }) => {
    if (typeof part === 'string') return escapeControls(part)
    const text = escapeControls(part.text)
    return isColoured(stream) ? styleText(part.style, text, { validateStream: false }) : text
  }
  const canAsk = stdin.isTTY === true && stderr.isTTY === true
  const line = (parts: readonly Part[], stream: { isTTY?: boolean }) =>
    `${parts
      .map((part) => render(part, stream))
      .join('')
      .trimEnd()}\n`

  return {
    say: (...parts) => void stdout.write(line(parts, stdout)),
    complain: (...parts) => void stderr.write(line(parts, stderr)),
    sayLines(text) {
      const lines = text.replace(/\r?\n$/, '').split(/\r?\n/)
      stdout.write(`${lines.map((one) => escapeControls(one).replaceAll('\\u0009', '\t')).join('\n')}\n`)
    },
    async table(head, rows) {
      const { default: Table } = await import('cli-table3')
      const table = new Table({
        head: head.map((name) => render(styled('dim', name), stdout)),
        chars: { ...noFrame, middle: '  ' },
        style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
      })
      table.push(...rows.map((row) => row.map((part) => render(part, stdout))))
      stdout.write(`${table.toString().replace(/ +$/gm, '')}\n`)
    },
    json(value, { isLine = false } = {}) {
      const lines = JSON.stringify(value, null, isLine ? undefined : 2).split('\n')
      stdout.write(`${lines.map(escapeControls).join('\n')}\n`)
    },
    async during(text, promise) {
      if (!stderr.isTTY) return promise
      let isShown = false
      const timer = setTimeout(() => {
        isShown = true
        stderr.write(`${escapeControls(text)}…`)
      }, 1_000)
      try {
        return await promise
      } finally {
        clearTimeout(timer)
        if (isShown) stderr.write('\r\u001b[K')
      }
    },
    canAsk,
    async confirm(question) {
      if (!canAsk) return undefined
      const asker = createInterface({ input: stdin, output: stderr })
      try {
        return /^y(es)?$/i.test((await asker.question(`${escapeControls(question)} [y/N] `)).trim())
      } finally {
        asker.close()
      }
    },
  }
}
