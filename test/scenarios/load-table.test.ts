/**
 * What clients notice of everything that is done to an app while it answers them, with containers behind nginx. What is planned
 * costs no request, whatever it is; of a replica that is killed, at most the requests that were inside it.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { dockerSkip, startDockerEngine } from '../support/docker-engine.ts'
import { type LoadAction, loadActions } from '../support/load-actions.ts'
import { explainFailures, type LoadRow, renderLoadTable, underLoad } from '../support/load-table.ts'
import { importReleases, type LoadWorld, nginxSkip, startWorld } from '../support/load-world.ts'
import { newestFirst } from '../support/newest-first.ts'
import { hasTool } from '../support/real-tool.ts'

const run = promisify(execFile)
const skip = dockerSkip || nginxSkip
const rows: LoadRow[] = []
const cleanup = newestFirst({ after })
after(() => process.stdout.write(`${renderLoadTable(rows)}\n`))
let world: LoadWorld | undefined

test('an app of containers, and another on the same nginx', { skip }, async () => {
  const engine = await startDockerEngine(cleanup, { liveRestore: true })
  await importReleases(engine)
  world = await startWorld(cleanup, { engine, isNginx: true, args: ['--on-exit', 'keep'] })
  await world.apply('web')
  await world.apply('other', { driver: 'process' })
  await world.settled('web', 1)
  await world.settled('other', 1)
})

const title = ({ what, isPlanned }: LoadAction) =>
  `${what}: ${isPlanned ? 'no request is lost' : 'no request is lost that was not inside'}`

for (const action of loadActions)
  test(title(action), { skip }, async (t) => {
    assert.ok(world, 'there is nothing to be done anything to')
    const here = world
    const row = await underLoad(newestFirst(t), action.what, here.clients('web'), (load) => action.run(here, load))
    rows.push(row)
    const lost = explainFailures(row)
    if (action.isPlanned) assert.deepEqual(lost, [])
    else assert.ok(row.failures.length <= row.atRisk, `of ${row.atRisk} in flight: ${lost.join('; ')}`)
  })

test('a client of strangers, too, sees no error while the app scales and another one changes', {
  skip: skip || (hasTool('wrk', 'wrk') ? false : 'wrk cannot be installed here'),
}, async (t) => {
  assert.ok(world, 'there is nothing to be done anything to')
  const here = world
  const { url } = here.clients('web')
  const wrk = run('wrk', ['-t', '1', '-c', '8', '-d', '6s', '--timeout', '10s', url])
  for (const replicas of [1, 3]) {
    await here.scale('web', replicas)
    await here.scale('other', replicas)
    await here.settled('web', replicas)
  }
  const { stdout } = await wrk
  t.diagnostic(`wrk: ${stdout.trim().split('\n').slice(-3).join('; ')}`)
  assert.match(stdout, /\d+ requests in/)
  // It has a line of its own for errors, and only when there are any.
  assert.doesNotMatch(stdout, /Socket errors|Non-2xx/)
})
