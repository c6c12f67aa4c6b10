/**
 * `npm run soak -- --minutes 10`: a whole Orchestry with twenty plugins, four of them hostile in turn, under steady traffic.
 * Ends with a table of what must stay flat (memory, descriptors, child processes) and of what must not happen (missed ticks,
 * failed requests, disturbed neighbours); the exit code is 1 when one of them did. `--seed` orders the attacks.
 */
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { appSpec } from '../support/app-spec.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { processesNaming } from '../support/processes.ts'
import { seeded } from '../support/seeded.ts'
import { startLoad } from '../support/steady-load.ts'
import { waitFor } from '../support/wait-for.ts'
import { attacks, honestNames, hostileNames, writePlugins } from './plugins.ts'
import { trendOf, type Vitals, vitalsOf } from './vitals.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
if (!(minutes > 0) || !Number.isInteger(seed)) {
  process.stderr.write('npm run soak -- --minutes <more than 0> [--seed <whole number>]\n')
  process.exit(2)
}

const turnMs = 5_000
const sampleMs = 2_000
const warmUpMs = Math.min(60_000, (minutes * 60_000) / 4)

const undos: (() => unknown)[] = []
const context = { after: (undo: () => unknown) => void undos.push(undo) }
const root = await realpath(await mkdtemp(join(tmpdir(), 'orchestry soak-')))
try {
  process.exitCode = await soak()
} finally {
  for (const undo of undos.reverse()) await undo()
  await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}

async function soak(): Promise<number> {
  const dataDir = join(root, 'data')
  const orchestry = await startOrchestry(context, { dataDir, env: { ORCHESTRY_LOG_LEVEL: 'error' } })
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort())
  for (const folder of await writePlugins(root)) {
    const { code, stderr } = await orchestry.cli('plugin', 'install', folder)
    if (code !== 0) throw new Error(stderr)
  }
  for (let app = 0; app < 4; app += 1)
    await addApp(orchestry, `calm-${app + 1}`, honestNames.slice(app * 4, app * 4 + 4))
  await addApp(orchestry, 'attacked', hostileNames)
  await waitFor(async () => (await fetch(`${orchestry.proxyUrl}/calm-1/`)).ok, { timeoutMs: 30_000 })
  const load = startLoad(context as Parameters<typeof startLoad>[0], `${orchestry.proxyUrl}/calm-1/`, 20)
  process.stdout.write(`20 plugins, 5 apps; ${minutes} minutes, seed ${seed}, warm-up ${warmUpMs / 1000} s\n`)

  const startedMs = performance.now()
  const endMs = startedMs + minutes * 60_000
  const samples: Vitals[] = []
  const attacking = attackInTurns(orchestry, endMs, interrupted.signal)
  while (performance.now() < endMs && !interrupted.signal.aborted) {
    const atS = Math.round((performance.now() - startedMs) / 1000)
    samples.push(vitalsOf(orchestry.pid, atS))
    await sleep(sampleMs, undefined, { signal: interrupted.signal }).catch(() => {})
  }
  const attacked = await attacking
  const { sent, failures, longestGapMs } = await load.stop()
  const ticks = await ticksOf(orchestry)
  const disturbed = await disturbedNeighbours(orchestry)
  await orchestry.stop()
  const left = processesNaming(dataDir).length

  const warm = samples.filter(({ atS }) => atS * 1000 >= warmUpMs)
  const rows: [string, string, boolean][] = [
    trendRow('memory of the host process, MB', warm, ({ rssMb }) => rssMb, 20),
    trendRow('open descriptors', warm, ({ descriptors }) => descriptors, 4),
    trendRow('child processes', warm, ({ processes }) => processes, 3),
    ['scaling ticks run / missed', `${ticks.run} / ${ticks.missed}`, ticks.missed === 0],
    [
      'requests sent / failed, longest gap',
      `${sent} / ${failures.length}, ${longestGapMs.toFixed(0)} ms`,
      failures.length === 0,
    ],
    ['honest plugins restarted or with failed calls', disturbed.join(', ') || 'none', disturbed.length === 0],
    ['attacks begun', `${attacked} of ${Object.keys(attacks).length - 1} kinds`, attacked > 0],
    ['processes left after the end', String(left), left === 0],
  ]
  for (const [what, value, isGood] of rows) process.stdout.write(`${isGood ? 'ok  ' : 'BAD '} ${what}: ${value}\n`)
  for (const { atMs, what } of failures.slice(0, 5))
    process.stdout.write(`     a request failed ${((atMs - startedMs) / 1000).toFixed(1)} s after the start: ${what}\n`)
  return rows.every(([, , isGood]) => isGood) ? 0 : 1
}

function trendRow(
  what: string,
  all: readonly Vitals[],
  of: (vitals: Vitals) => number,
  slack: number,
): [string, string, boolean] {
  const { first, last, isFlat } = trendOf(all, of, slack)
  return [
    what,
    `${first.toFixed(0)} in the first third, ${last.toFixed(0)} in the last (most ${Math.max(...all.map(of)).toFixed(0)})`,
    isFlat,
  ]
}

async function addApp(orchestry: RunningOrchestry, name: string, scalers: readonly string[]): Promise<void> {
  await orchestry.api('/api/v1/apps', { method: 'POST', body: appSpec(name, { scaling: { scalers, maxReplicas: 2 } }) })
}

/** One after another of the four does one after another of the attacks, the rest is at peace. Returns how many were begun. */
async function attackInTurns(orchestry: RunningOrchestry, endMs: number, signal: AbortSignal): Promise<number> {
  const random = seeded(seed)
  const kinds = Object.keys(attacks).filter((kind) => kind !== 'none')
  let order: string[] = []
  let begun = 0
  const tell = (name: string, attack: string) =>
    orchestry
      .api(`/api/v1/plugins/${name}/config`, { method: 'PUT', body: { config: { attack } } })
      .catch((error: Error) => process.stderr.write(`${name} could not be told to do ${attack}: ${error.message}\n`))
  for (let turn = 0; performance.now() + turnMs < endMs && !signal.aborted; turn += 1) {
    if (order.length === 0) order = [...kinds].sort(() => random() - 0.5)
    const name = hostileNames[turn % hostileNames.length] as string
    await tell(name, order.pop() ?? 'loop')
    begun += 1
    await sleep(turnMs, undefined, { signal }).catch(() => {})
    await tell(name, 'none')
  }
  return begun
}

async function ticksOf(orchestry: RunningOrchestry): Promise<{ run: number; missed: number }> {
  const text = await (await fetch(`${orchestry.url}/metrics`)).text()
  const value = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
  return { run: value('orchestry_ticks_total'), missed: value('orchestry_ticks_missed_total') }
}

async function disturbedNeighbours(orchestry: RunningOrchestry): Promise<string[]> {
  const { plugins } = await orchestry.api<{
    plugins: { id: string; restarts: number; instances: { usage?: { errors: number } }[] }[]
  }>('/api/v1/plugins')
  return plugins
    .filter(({ id }) => !hostileNames.includes(id))
    .filter(({ restarts, instances }) => restarts > 0 || instances.some(({ usage }) => (usage?.errors ?? 0) > 0))
    .map(({ id }) => id)
}
