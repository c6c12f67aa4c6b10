/**
 * `kill -9` at every step: the real host dies before or after it starts, stops, publishes or stores something, in the middle of a
 * scale-out, a scale-in, a rollout or a deletion, under load. The next one goes on from there: no request fails, nobody who is
 * well is replaced, nothing is left over. Some steps, drawn by a printed seed; all of them with KILL_STEPS=all.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type AppStatusView, appSpec, type InstanceRow } from '../support/app-spec.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { isAlive, processesNaming } from '../support/processes.ts'
import { seeded } from '../support/seeded.ts'
import { startLoad } from '../support/steady-load.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const program = fileURLToPath(new URL('../support/fragile-orchestry.ts', import.meta.url))
const fragile = [process.execPath, '--conditions=@orchestry/source', program] as const
/** As many in one directory, one after the other: a start costs more than what is tested. */
const killsInARow = 4
const killsDrawn = 16
const slow = { timeoutMs: 45_000 }

interface Work {
  readonly name: string
  readonly steps: readonly string[]
  readonly replicas: number
  /** Asks for it; the answer may never come. */
  ask(orchestry: RunningOrchestry, version: string): Promise<unknown>
}

/** @param more.mark by which the processes of its replicas are found */
const spec = (name: string, more: { replicas: number; version: string; mark: string }) =>
  appSpec(name, {
    scaling: { mode: 'manual', minReplicas: 1, maxReplicas: 6, replicas: more.replicas },
    env: [
      { name: 'VERSION', value: more.version },
      { name: 'MARK', value: more.mark },
    ],
    rollout: { drainSeconds: 1, stopGraceSeconds: 2 },
  })
const put = (orchestry: RunningOrchestry, name: string, more: Parameters<typeof spec>[1]) =>
  orchestry.api(`/api/v1/apps/${name}`, { method: 'PUT', body: spec(name, more) })
const scaleTo = (replicas: number) => (orchestry: RunningOrchestry) =>
  orchestry.api('/api/v1/apps/web/scale', { method: 'POST', body: { replicas } })

const works: readonly Work[] = [
  {
    name: 'scale-out',
    steps: [
      'store.write decision',
      'store.write apps',
      'start',
      'store.write event',
      'store.write reconcile',
      'publish',
    ],
    replicas: 2,
    ask: scaleTo(4),
  },
  {
    name: 'scale-in',
    steps: ['store.write scalingState', 'store.write apps', 'publish', 'stop', 'store.write event'],
    replicas: 3,
    ask: scaleTo(1),
  },
  {
    name: 'rollout',
    steps: ['store.write apps', 'start', 'publish', 'stop', 'store.write reconcile', 'store.write event'],
    replicas: 2,
    ask: (orchestry, version) => put(orchestry, 'web', { replicas: 2, version, mark: orchestry.dataDir }),
  },
  {
    name: 'deletion',
    steps: ['store.write apps', 'publish', 'stop', 'remove', 'store.write reconcile', 'store.write event'],
    replicas: 2,
    ask: (orchestry) => orchestry.api('/api/v1/apps/web', { method: 'DELETE' }),
  },
]

const seed = Number(process.env.KILL_SEED ?? Date.now() % 2 ** 31)
const chance = seeded(seed)
interface Kill {
  readonly work: Work
  readonly step: string
  readonly nth: number
  readonly order: number
}
const all: readonly Kill[] = works.flatMap((work) =>
  work.steps.flatMap((step) =>
    ['before', 'after'].map((side) => ({
      work,
      step: `${side} ${step}`,
      nth: chance() < 0.7 ? 1 : 2,
      order: chance(),
    })),
  ),
)
const drawn = all
  .toSorted((a, b) => a.order - b.order)
  .slice(0, process.env.KILL_STEPS === 'all' ? all.length : killsDrawn)

const rowsOf = async (orchestry: RunningOrchestry, app: string) =>
  (await orchestry.api<{ instances: InstanceRow[] }>(`/api/v1/apps/${app}/instances`)).instances
const pidsOf = async (orchestry: RunningOrchestry, app: string) =>
  (await rowsOf(orchestry, app)).flatMap(({ pid }) => pid ?? []).sort()

async function settled(orchestry: RunningOrchestry, app: string): Promise<AppStatusView | undefined> {
  const look = async () => {
    const { apps } = await orchestry.api<{ apps: ({ name: string } & AppStatusView)[] }>('/api/v1/apps')
    const found = apps.find(({ name }) => name === app)
    if (!found) return { found: undefined }
    const rows = await rowsOf(orchestry, app)
    const isThere = found.phase === 'running' && found.serving === found.desired && rows.length === found.desired
    return isThere && { found }
  }
  return (await waitFor(look, { ...slow, what: `${app} to be as wanted` })).found
}

const replicasIn = (dataDir: string) =>
  processesNaming(dataDir).filter(({ command }) => command.includes('replica-server')).length

function startFragile(
  t: TestContext,
  dataDir: string,
  proxyPort: string,
  { step, nth }: Kill,
): Promise<RunningOrchestry> {
  const args = ['--proxy-port', proxyPort, '--die-at', step, '--die-nth', String(nth)]
  return startOrchestry(t, { dataDir, args, command: [...fragile] })
}

/** Asks for the work and sees the process die of it. Resolves with its last word. */
async function dieAt(orchestry: RunningOrchestry, { work }: Kill, version: string): Promise<string> {
  process.kill(orchestry.pid, 'SIGUSR2')
  await waitFor(() => orchestry.output().includes('armed'))
  await work.ask(orchestry, version).catch(() => undefined)
  // Not every work comes by so often; then it is killed when it has had time for all of it.
  await waitFor(() => !isAlive(orchestry.pid), { timeoutMs: 8_000 }).catch(() => orchestry.kill())
  return /killed .*/.exec(orchestry.output())?.[0] ?? 'killed when it was done'
}

/** One controller after the other on the same directory, each killed at its step; the last one ends in order. */
async function live(t: TestContext, kills: readonly Kill[]): Promise<void> {
  const dataDir = await tempDir()
  t.after(() => removeDir(dataDir))
  const [first] = kills
  if (!first) return
  let now = await startFragile(t, dataDir, '0', first)
  const proxyPort = new URL(now.proxyUrl).port
  await put(now, 'other', { replicas: 1, version: 'one', mark: dataDir })
  await settled(now, 'other')
  const others = await pidsOf(now, 'other')
  const besides = startLoad(t, `${now.proxyUrl}/other/`, 30)

  for (const [index, kill] of kills.entries()) {
    const { work } = kill
    await put(now, 'web', { replicas: work.replicas, version: `${index}`, mark: dataDir })
    await settled(now, 'web')
    const before = await pidsOf(now, 'web')
    const load = startLoad(t, `${now.proxyUrl}/web/`, 30)
    await waitFor(() => load.sent() > 10, slow)
    const how = await dieAt(now, kill, `${index} rolled out`)
    const next = kills[index + 1]
    now = next
      ? await startFragile(t, dataDir, proxyPort, next)
      : await startOrchestry(t, { dataDir, args: ['--proxy-port', proxyPort] })
    const web = await settled(now, 'web')
    await settled(now, 'other')
    const { failures, sent } = await load.stop()
    t.diagnostic(`${work.name}: ${how}; ${sent} requests`)
    assert.equal(work.name === 'deletion' || web !== undefined, true, 'nobody asked to delete it')
    assert.deepEqual(await pidsOf(now, 'other'), others)
    const after = web ? await pidsOf(now, 'web') : []
    if (web) {
      assert.deepEqual(failures, [], 'no request fails')
      const kept = after.filter((pid) => before.includes(pid))
      if ((await versionOf(now)) === `${index}`)
        assert.equal(kept.length, Math.min(before.length, web.desired), 'who was well stays')
      else assert.deepEqual(kept, [], 'all are of the new version')
    }
    await waitFor(() => replicasIn(dataDir) === after.length + 1, { ...slow, what: 'no replica to be left over' })
  }
  assert.deepEqual((await besides.stop()).failures, [], 'another app notices nothing')
  assert.equal(await now.stop(), 0)
  assert.deepEqual(processesNaming(dataDir), [])
}

async function versionOf(orchestry: RunningOrchestry): Promise<string> {
  const env = (await (await fetch(`${orchestry.proxyUrl}/web/env`)).json()) as { VERSION?: string }
  return String(env.VERSION)
}

describe(`killed at a step (KILL_SEED=${seed} for the same ones again)`, { concurrency: 2 }, () => {
  for (let from = 0; from < drawn.length; from += killsInARow) {
    const kills = drawn.slice(from, from + killsInARow)
    test(kills.map(({ work, step, nth }) => `${work.name} ${step} ${nth}`).join(', '), (t) => live(t, kills))
  }
})
