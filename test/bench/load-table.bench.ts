/** What clients notice of everything that is done to containers behind nginx: the table of the scenarios, as figures. */
import { loadActions } from '../support/load-actions.ts'
import { underLoad } from '../support/load-table.ts'
import type { Bench, Row } from './bench.ts'
import { containersMissing, startContainers } from './containers.ts'

export const bench: Bench = {
  async run(context) {
    const what = 'under load: '
    if (context.isQuick) return [{ what: `${what}all that is done to an app`, missing: 'left out by --quick' }]
    if (containersMissing !== false) return [{ what: `${what}all that is done to an app`, missing: containersMissing }]
    const { world } = await startContainers(context, { args: ['--on-exit', 'keep'] })
    await world.apply('web')
    await world.apply('other', { driver: 'process' })
    await world.settled('web', 1)
    await world.settled('other', 1)
    const rows: Row[] = []
    for (const action of loadActions) {
      const row = await underLoad(context, action.what, world.clients('web'), (load) => action.run(world, load))
      rows.push({
        what: `${what}${action.what}`,
        figures: [
          {
            name: 'failed',
            value: row.failures.length,
            unit: `of ${row.requests}`,
            atMost: action.isPlanned ? 0 : row.atRisk,
          },
          { name: 'longest gap', value: row.longestGapMs, unit: 'ms' },
          { name: 'slowest', value: row.slowestMs, unit: 'ms' },
        ],
        runs: 1,
        note: `GET and POST, connections kept and not; ${row.seconds.toFixed(1)} s`,
      })
    }
    return rows
  },
}
