/**
 * `npm run bench` measures the figures that Orchestry promises and prints them as a table, each beside its target.
 *
 *   npm run bench                      all benchmarks, five minutes
 *   npm run bench -- --quick           fewer samples, under a minute; long ones say that they were left out
 *   npm run bench -- hook-call events  only these; `--list` prints the names
 *
 * What is measured is the real thing: real sandbox processes, the real store on disk, real HTTP, the built-in plugins. Each
 * benchmark lives in `<name>.bench.ts` and runs in a process of its own, one after another, so that none of them
 * disturbs or warms up the next. A ratio is taken of two sides that were measured in turns in the same run.
 *
 * Under `p50` and `p99` stand nearest ranks: of few runs, p99 is the slowest. A figure that falls short is printed as such and fails nothing: the exit code is 0 unless a benchmark could not run. On a
 * machine that does other work at the same time absolute times mean little; ratios still do.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { processesNaming } from '../support/processes.ts'
import { waitFor } from '../support/wait-for.ts'
import type { Row } from './bench.ts'
import { describeMachine } from './machine.ts'
import { hasProc } from './processes.ts'
import { renderSummary, renderTable } from './table.ts'

/** In the order of the table. */
const names = [
  'hook-call',
  'batch',
  'tick',
  'activate',
  'tiers',
  'recovery',
  'unstoppable',
  'hostile',
  'load-step',
  'replica-kill',
  'container-kill',
  'compose-up',
  'load-table',
  'health-checks',
  'events',
  'api',
  'proxy',
]
const patienceMs = 240_000
const graceMs = 5_000

const { values: options, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, list: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const unknown = positionals.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`There is no benchmark ${unknown.join(', ')}. There are: ${names.join(', ')}.\n`)
  process.exit(2)
}
if (options.list) {
  process.stdout.write(`${names.join('\n')}\n`)
  process.exit(0)
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort())

/** Resolves with the rows of one benchmark, or with one that says why there are none. */
async function measure(name: string): Promise<Row[]> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'orchestry bench-')))
  const child = fork(join(import.meta.dirname, 'child.ts'), [name, dir, ...(options.quick ? ['--quick'] : [])], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    // JSON has no infinity: something that never came would arrive as nothing.
    serialization: 'advanced',
  })
  let rows: Row[] | undefined
  let complaint = ''
  child.on('message', (message) => {
    rows = message as Row[]
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk.toString('utf8')}`.slice(-4_000)
  })
  const end = () => {
    child.kill('SIGTERM')
    kill = setTimeout(() => child.kill('SIGKILL'), graceMs)
  }
  let kill: NodeJS.Timeout | undefined
  let isLate = false
  const patience = setTimeout(() => {
    isLate = true
    end()
  }, patienceMs)
  interrupted.signal.addEventListener('abort', end, { once: true })
  try {
    const closed = once(child, 'close')
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    if (code !== 0) await endLeftovers(dir)
    await closed
    if (complaint !== '') process.stderr.write(complaint)
    if (rows !== undefined && code === 0) return rows
    if (interrupted.signal.aborted) return [{ what: name, missing: 'it was interrupted' }]
    const missing = isLate ? `it did not end within ${patienceMs / 1000} s` : (signal ?? lastLine(complaint))
    return [...(rows ?? []), { what: name, missing, isFault: true }]
  } finally {
    clearTimeout(patience)
    clearTimeout(kill)
    interrupted.signal.removeEventListener('abort', end)
    await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

/** What a benchmark that was killed could not end itself: everything it starts names its folder. */
async function endLeftovers(dir: string): Promise<void> {
  if (!hasProc) return
  const signalAll = (signal: NodeJS.Signals) => {
    for (const { pid } of processesNaming(dir)) {
      try {
        process.kill(pid, signal)
      } catch {
        // It has ended meanwhile.
      }
    }
  }
  signalAll('SIGTERM')
  await waitFor(() => processesNaming(dir).length === 0, { timeoutMs: graceMs, everyMs: 50 }).catch(() =>
    signalAll('SIGKILL'),
  )
}

const lastLine = (text: string) =>
  text.split('\n').find((line) => /^\w*Error\b/.test(line)) ??
  (text.trim().split('\n').at(-1) || 'it ended without a word')

const startedMs = performance.now()
const secondsSince = (fromMs: number) => ((performance.now() - fromMs) / 1000).toFixed(1)
const machine = describeMachine(tmpdir())
const rows: Row[] = []
for (const name of positionals.length > 0 ? names.filter((one) => positionals.includes(one)) : names) {
  if (interrupted.signal.aborted) break
  const fromMs = performance.now()
  rows.push(...(await measure(name)))
  process.stderr.write(`${name} took ${secondsSince(fromMs)} s\n`)
}
process.stdout.write(
  `${machine}\n${renderTable(rows)}\n${renderSummary(rows)}; ${secondsSince(startedMs)} s${options.quick ? ', --quick' : ''}\n`,
)
if (interrupted.signal.aborted) process.exitCode = 130
else if (rows.some((row) => 'missing' in row && row.isFault)) process.exitCode = 1
