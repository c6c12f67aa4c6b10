/** A host process whose guest cannot be stopped from inside; prints the pid of its sandbox process. Run by sandbox.test.ts. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../runtime/clock.ts'
import { effectiveLimits } from '../../runtime/limits.ts'
import { createLog } from '../../runtime/log.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { bundleGuest } from '../support/guest-bundle.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'orchestry-test-host-'))
const sandbox = await createSandbox({ dataDir, clock: systemClock, log: createLog({ level: 'silent' }) })
const bundle = await bundleGuest(`scaler: { decide() { Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1) } }`)
const plugin = await sandbox.load(bundle, { ...effectiveLimits(undefined, false), timeoutMs: 30_000 })
const instance = await plugin.open({ name: 'one', configJson: '{}', bindings: {}, onHostCall: async () => 'null' })
void instance.call(['{}'], { hook: 'scaler', function: 'decide', per: 'item', timeoutMs: 30_000 })
setTimeout(() => process.stdout.write(`${plugin.pid}\n`), 200)
