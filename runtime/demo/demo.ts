/**
 * `npm run demo`: the main job before one's eyes. A whole Orchestry of its own (temporary data directory, free ports) runs a
 * small app, real HTTP load goes through the proxy, and what is decided is printed. Everything is gone afterwards.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Config, readConfig } from '../config.ts'
import { OrchestryError } from '../errors.ts'
import { createLog, type Log } from '../log.ts'
import type { AppStatus } from '../reconcile/reconcile.ts'
import type { Decision } from '../scaling/decision.ts'
import { type Phase, type PhaseResult, runPhase } from './load.ts'
import { heading, type Moment, renderMoment } from './timeline.ts'

const phases: readonly Phase[] = [
  { name: 'quiet', requestsPerSecond: 10, seconds: 5 },
  { name: 'rush', requestsPerSecond: 180, seconds: 16 },
  { name: 'quiet', requestsPerSecond: 10, seconds: 12 },
]
const wanted = 'Wanted: at least one scale-out and one scale-in, no failed request, one replica at the end.'
/** Longest wait for the last replica to be alone again. */
const settleSeconds = 15
const costMs = 12

const spec = {
  apiVersion: 'v1',
  kind: 'App',
  metadata: { name: 'demo' },
  spec: {
    command: [process.execPath, fileURLToPath(new URL('./app-server.js', import.meta.url))],
    env: [{ name: 'COST_MS', value: String(costMs) }],
  },
  // Windows this short suit a demonstration; in production minutes keep an app from following every gust.
  scaling: {
    minReplicas: 1,
    maxReplicas: 8,
    targets: { rpsPerReplica: 40 },
    windowSeconds: 3,
    cooldownSeconds: { out: 1, in: 2 },
    behavior: { scaleIn: { stabilizationWindowSeconds: 4 } },
  },
  healthCheck: { path: '/healthz', periodSeconds: 1 },
  rollout: { drainSeconds: 3 },
}

/** What the demonstration needs of a running Orchestry. */
export interface DemoHost {
  readonly url: string
  readonly proxyUrl: string
  stop(options: { keep: boolean }): Promise<void>
}

export interface DemoOptions {
  readonly startHost: (config: Config, log: Log) => Promise<DemoHost>
  readonly builtinDirs: readonly string[]
  readonly out: { write(text: string): unknown }
}

/** @throws ORC_DEMO_FAILED unless it scaled out and in, no request failed, and one replica was left. */
export async function runDemo({ startHost, builtinDirs, out }: DemoOptions): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'orchestry-demo-'))
  const config = readConfig({ port: 0, proxyPort: 0, dataDir, onExit: 'stop' }, {}, builtinDirs)
  let host: DemoHost | undefined
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    host = await startHost(config, createLog({ level: 'error', isForPeople: true }))
    out.write(
      `One app, ${costMs} ms of work a request, ${spec.scaling.targets.rpsPerReplica} requests/s wanted per replica.\n` +
        `Windows are short for the demonstration (${spec.scaling.windowSeconds} s; cooldown in ${spec.scaling.cooldownSeconds.in} s). Page: ${host.url}\n\n${heading}`,
    )
    const summary = await play(host, out, interrupted.signal)
    out.write(renderSummary(summary))
    if (interrupted.signal.aborted)
      throw new OrchestryError('ORC_DEMO_FAILED', 'It was interrupted; nothing is left running.')
    if (!isGood(summary)) throw new OrchestryError('ORC_DEMO_FAILED', `${wanted} See the lines above.`)
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    await host?.stop({ keep: false })
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

interface Summary {
  readonly results: readonly (PhaseResult & { name: string })[]
  readonly outs: number
  readonly ins: number
  readonly most: number
  readonly last: number
}

async function play(host: DemoHost, out: DemoOptions['out'], signal: AbortSignal): Promise<Summary> {
  await ask(host, '/api/v1/apps', { method: 'POST', body: JSON.stringify(spec) })
  await until(signal, 10, async () => (await ask<AppStatus>(host, '/api/v1/apps/demo')).serving > 0)
  const startedMs = performance.now()
  const seen = new Set<string>()
  const tally = { outs: 0, ins: 0, most: 0, last: 0 }
  let phase = ''
  let isOver = false

  const look = async (): Promise<void> => {
    const moment = await lookAt(host, Math.round((performance.now() - startedMs) / 1000), phase, seen)
    for (const { from, to } of moment.decisions) {
      if (to > from) tally.outs += 1
      if (to < from) tally.ins += 1
    }
    tally.most = Math.max(tally.most, moment.serving)
    tally.last = moment.serving
    out.write(renderMoment(moment))
  }
  const watching = (async () => {
    while (!isOver && !signal.aborted) {
      await look()
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  })()

  const results: (PhaseResult & { name: string })[] = []
  for (const next of phases) {
    if (signal.aborted) break
    phase = next.name
    results.push({ name: next.name, ...(await runPhase(`${host.proxyUrl}/demo/`, next)) })
  }
  phase = 'none'
  await until(signal, settleSeconds, async () => {
    const { desired, running } = await ask<AppStatus>(host, '/api/v1/apps/demo')
    return desired === 1 && running === 1
  })
  isOver = true
  await watching
  if (!signal.aborted) await look()
  return { results, ...tally }
}

async function lookAt(host: DemoHost, second: number, phase: string, seen: Set<string>): Promise<Moment> {
  const [app, { metrics }, { decisions, latest }] = await Promise.all([
    ask<AppStatus>(host, '/api/v1/apps/demo'),
    ask<{ metrics: Record<string, { last: number } | undefined> }>(host, '/api/v1/apps/demo/metrics?windowSeconds=3'),
    ask<{ decisions: Decision[]; latest?: Decision }>(host, '/api/v1/apps/demo/decisions?limit=20'),
  ])
  const news = decisions.filter(({ id, from, to }) => from !== to && !seen.has(id)).reverse()
  for (const { id } of news) seen.add(id)
  const value = (name: string) => metrics[name]?.last
  return {
    second,
    phase,
    desired: app.desired,
    serving: app.serving,
    rps: value('rps'),
    p95Ms: value('latencyP95Ms'),
    errorPercent: value('errorPercent'),
    decisions: news,
    votes: (latest?.votes ?? []).map(renderVote).join('; '),
  }
}

function renderVote(record: Decision['votes'][number]): string {
  if ('error' in record) return `${record.scaler}: ${record.error.code}`
  const { vote } = record
  if ('hold' in vote) return `${record.scaler}: hold (${vote.reason})`
  const size = 'replicas' in vote ? vote.replicas : 'floor' in vote ? `≥ ${vote.floor}` : `≤ ${vote.ceiling}`
  return `${record.scaler}: ${size} (${vote.reason})`
}

function renderSummary({ results, outs, ins, most, last }: Summary): string {
  const sent = results.reduce((sum, result) => sum + result.sent, 0)
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  return [
    '',
    `${sent} requests, ${failed} failed; scaled out ${outs}×, in ${ins}×; at most ${most} replicas, ${last} at the end.`,
    ...results.map(
      ({ name, sent, failed, p95Ms }) => `  ${name.padEnd(6)} ${sent} sent, ${failed} failed, p97.5 ${p95Ms} ms`,
    ),
    '',
  ].join('\n')
}

function isGood({ results, outs, ins, last }: Summary): boolean {
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  return outs > 0 && ins > 0 && last === 1 && failed === 0 && results.length === phases.length
}

/** The API as anybody else would call it. */
async function ask<T>(host: DemoHost, path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(`${host.url}${path}`, { ...init, headers: { 'content-type': 'application/json' } })
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

async function until(signal: AbortSignal, seconds: number, condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + seconds * 1000
  while (performance.now() < deadlineMs && !signal.aborted && !(await condition())) {
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
