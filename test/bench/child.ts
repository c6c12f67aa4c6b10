/** The process of one benchmark: `child.ts <name> <dir> [--quick]`. Sends its rows to whoever forked it. */
import type { Bench, Row } from './bench.ts'

const [name = '', dir = '', mode] = process.argv.slice(2)
const undos: (() => unknown)[] = []
let isUndoing = false

async function undo(): Promise<void> {
  if (isUndoing) return
  isUndoing = true
  for (const one of undos.splice(0).reverse()) {
    try {
      await one()
    } catch (error) {
      process.stderr.write(`${name}, when it ended: ${String(error)}\n`)
    }
  }
}

// Interrupted, by hand or because it took too long: what was started ends first.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => void undo().finally(() => process.exit(130)))
}
process.on('disconnect', () => void undo().finally(() => process.exit(130)))

const send = (rows: readonly Row[]) => new Promise<void>((resolve) => process.send?.(rows, () => resolve()))
let exitCode = 0
try {
  const { bench } = (await import(`./${name}.bench.ts`)) as { bench: Bench }
  const rows = await bench.run({ isQuick: mode === '--quick', dir, after: (one) => void undos.push(one) })
  if (!isUndoing) await send(rows)
} catch (error) {
  exitCode = 1
  if (!isUndoing) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
}
await undo()
process.exit(exitCode)
