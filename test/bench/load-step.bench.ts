/** The load of an app becomes ten times as much: how long until enough replicas take requests, and what failed meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import { defaults } from '../../runtime/apps/defaults.ts'
import { appSpec } from '../support/app-spec.ts'
import { startLoad } from '../support/steady-load.ts'
import type { Bench, BenchContext, Row } from './bench.ts'
import { findBuiltin } from './builtins.ts'
import { startWatched, type Watched } from './rotation.ts'

const perReplica = 40
const before = 20
const after = 10 * before
const enough = Math.ceil(after / perReplica)
const patienceMs = 25_000
/** What an app that follows its load closely asks for. */
const short = { windowSeconds: 3, cooldownSeconds: { out: 1, in: 60 } }
const usual = { windowSeconds: defaults.scaling.windowSeconds, cooldownSeconds: defaults.scaling.cooldownSeconds }

export const bench: Bench = {
  async run(context) {
    const what = 'tenfold load step → enough healthy replicas in rotation'
    if (context.isQuick) return [{ what, missing: 'left out by --quick' }]
    const missing = ['threshold-scaler', 'http-health', 'proxy'].filter((name) => findBuiltin(name) === undefined)
    if (missing.length > 0) return [{ what, missing: `not there: ${missing.join(', ')}` }]
    const watched = await startWatched(context)
    // At the same time, because the longer window must be full of quiet first; the short one is done by then.
    return await Promise.all([
      step(context, watched, what, 'usual', usual),
      step(context, watched, what, 'short', short),
    ])
  },
}

async function step(
  context: BenchContext,
  { orchestry, until }: Watched,
  title: string,
  app: string,
  scaling: typeof usual | typeof short,
): Promise<Row> {
  const { windowSeconds, cooldownSeconds } = scaling
  const isUsual = scaling === usual
  const what = `${title}, window ${windowSeconds} s and cooldown ${cooldownSeconds.out} s${isUsual ? ' (the defaults)' : ''}`
  const body = appSpec(app, { scaling: { maxReplicas: 10, targets: { rpsPerReplica: perReplica }, ...scaling } })
  await orchestry.api('/api/v1/apps', { method: 'POST', body })
  await until(app, (ids) => ids.length > 0)
  const url = `${orchestry.proxyUrl}/${app}/`
  const quiet = startLoad(context, url, before)
  await sleep((windowSeconds + 1) * 1000)
  const rush = startLoad(context, url, after - before)
  const tookMs = await until(app, (ids) => ids.length >= enough, { timeoutMs: patienceMs }).catch(
    () => Number.POSITIVE_INFINITY,
  )
  const results = await Promise.all([quiet.stop(), rush.stop()])
  await orchestry.api(`/api/v1/apps/${app}`, { method: 'DELETE' })
  const failed = results.reduce((sum, { failures }) => sum + failures.length, 0)
  return {
    what,
    figures: [
      { name: 'enough after', value: tookMs / 1000, unit: 's', atMost: 5 },
      { name: 'failed requests', value: failed, unit: '', atMost: 0 },
    ],
    runs: 1,
    note: `${before} → ${after} requests/s, ${perReplica} wanted per replica, ${enough} replicas are enough; waited at most ${patienceMs / 1000} s`,
  }
}
