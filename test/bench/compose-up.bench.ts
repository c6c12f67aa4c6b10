/** Twenty containers from nothing, by Orchestry and by docker-compose, in turns on one engine, until each answers HTTP. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasTool } from '../support/real-tool.ts'
import { waitFor } from '../support/wait-for.ts'
import type { Bench } from './bench.ts'
import { type Containers, containersMissing, startContainers } from './containers.ts'
import { median } from './samples.ts'

const run = promisify(execFile)
const replicas = 20
const rounds = 2
const image = 'test/replica:1'

export const bench: Bench = {
  async run(context) {
    const what = `${replicas} containers from none, until each answers`
    if (context.isQuick) return [{ what, missing: 'left out by --quick' }]
    if (containersMissing !== false) return [{ what, missing: containersMissing }]
    if (!hasTool('docker-compose', 'docker-compose'))
      return [{ what, missing: 'docker-compose cannot be installed here' }]
    const containers = await startContainers(context)
    const file = join(context.dir, 'docker-compose.yml')
    await writeFile(file, `version: '3'\nservices:\n  web:\n    image: ${image}\n`)
    const ours: number[] = []
    const inNginx: number[] = []
    const theirs: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const { answersMs, rotationMs } = await byOrchestry(containers)
      ours.push(answersMs)
      inNginx.push(rotationMs)
      theirs.push(await byCompose(containers, file))
    }
    const ratio = median(ours.map((ms, round) => ms / (theirs[round] ?? Number.NaN)))
    return [
      {
        what,
        figures: [
          { name: 'ratio to docker-compose', value: ratio, unit: '×', atMost: 1 },
          { name: 'Orchestry', value: median(ours), unit: 'ms' },
          { name: 'and in nginx', value: median(inNginx), unit: 'ms' },
          { name: 'docker-compose', value: median(theirs), unit: 'ms' },
        ],
        runs: rounds,
        note: 'the image is there; docker-compose up -d --scale, in turns on one engine',
      },
    ]
  },
}

/** Until so many answer; who did is not asked again. */
async function untilAllAnswer(addresses: () => Promise<readonly string[]>): Promise<void> {
  const answered = new Set<string>()
  const ask = async (address: string) => {
    if (answered.has(address)) return
    const response = await fetch(`http://${address}/healthz`, { signal: AbortSignal.timeout(500) }).catch(
      () => undefined,
    )
    if (response?.ok) answered.add(address)
  }
  const isDone = async () => {
    await Promise.all((await addresses()).map(ask))
    return answered.size >= replicas
  }
  await waitFor(isDone, { timeoutMs: 60_000, everyMs: 20, what: `${replicas} containers to answer` })
}

async function byOrchestry({ world, until }: Containers): Promise<{ answersMs: number; rotationMs: number }> {
  const startedMs = performance.now()
  await world.apply('web', { replicas })
  await untilAllAnswer(async () => {
    const { instances } = await world.orchestry.api<{ instances: { host: string; port: number }[] }>(
      '/api/v1/apps/web/instances',
    )
    return instances.flatMap(({ host, port }) => (host ? [`${host}:${port}`] : []))
  })
  const answersMs = performance.now() - startedMs
  await until('web', (addresses) => addresses.length === replicas)
  const rotationMs = performance.now() - startedMs
  await world.delete('web')
  await waitFor(async () => (await world.engine?.docker.listContainers({ all: true }))?.length === 0, {
    timeoutMs: 60_000,
    what: 'the containers to be gone',
  })
  return { answersMs, rotationMs }
}

async function byCompose({ engine }: Containers, file: string): Promise<number> {
  const compose = (...args: string[]) =>
    run('docker-compose', ['-f', file, '-p', 'bench', ...args], { env: { ...process.env, DOCKER_HOST: engine.host } })
  const startedMs = performance.now()
  await compose('up', '-d', '--scale', `web=${replicas}`)
  await untilAllAnswer(async () => {
    const all = await engine.docker.listContainers({ filters: { label: ['com.docker.compose.project=bench'] } })
    return all.flatMap(({ NetworkSettings }) =>
      Object.values(NetworkSettings.Networks).flatMap(({ IPAddress }) => (IPAddress ? [`${IPAddress}:8080`] : [])),
    )
  })
  const tookMs = performance.now() - startedMs
  await compose('down', '-t', '2')
  return tookMs
}
