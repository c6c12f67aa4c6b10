/**
 * A real controller process for tests that kill it: starts the data plane, applies one upstream and prints where it serves.
 * Arguments: data directory, host, port, and the upstream as JSON.
 */
import { systemClock } from '../../runtime/clock.ts'
import { createDataplane } from '../../runtime/dataplane/client.ts'
import { createLog } from '../../runtime/log.ts'

const [dataDir = '', host = '', port = '0', upstream = ''] = process.argv.slice(2)
const dataplane = createDataplane({
  dataDir,
  host,
  port: Number(port),
  clock: systemClock,
  log: createLog({ level: 'silent' }),
  events: { emit: () => {} },
})
await dataplane.start()
await dataplane.apply(JSON.parse(upstream))
process.stdout.write(`${JSON.stringify(dataplane.address())}\n`)
setInterval(() => {}, 60_000)
