/**
 * A controller that does nothing but start replicas, for tests that kill it: `controller.ts <dataDir> <ownerId> <id> …`.
 * Prints the started instances as one line of JSON and then stays.
 */
import { systemClock } from '../../runtime/clock.ts'
import { createProcessDriver } from '../../runtime/drivers/process.ts'
import { createLog } from '../../runtime/log.ts'
import { replicaCommand } from '../support/sample-app.ts'
import { request } from './process-harness.ts'

const [dataDir = '', ownerId = '', ...ids] = process.argv.slice(2)
const driver = createProcessDriver({ dataDir, ownerId, clock: systemClock, log: createLog({ level: 'silent' }) })
const instances = await Promise.all(ids.map((id) => driver.start(request(id, replicaCommand))))
process.stdout.write(`${JSON.stringify(instances)}\n`)
setInterval(() => {}, 1000)
