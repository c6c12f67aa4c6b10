/**
 * What clients notice of everything that is done to an app while it answers them, with containers behind nginx. What is planned
 * costs no request, whatever it is; of a replica that is killed, at most the requests that were inside it.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { dockerSkip, startDockerEngine } from '../support/docker-engine.ts'
import { type LoadAction, loadActions } from '../support/load-actions.ts'
import { explainFailures, type LoadRow, renderLoadTable, underLoad } from '../support/load-table.ts'
import { importReleases, type LoadWorld, nginxSkip, startWorld } from '../support/load-world.ts'
import { newestFirst } from '../support/newest-first.ts'

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
