/**
 * Every class of attack as a real plugin that came in by the front door, under the strictest confinement of this machine and
 * under the weakest that third-party plugins get by default. Each gets exactly what is written beside it; meanwhile the API
 * answers as before and the neighbour's plugin is neither disturbed nor replaced; afterwards no process is left.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AttackStage, startAttackStage } from '../support/attack-stage.ts'
import { startGrpc } from '../support/grpc-server.ts'
import { startHostileOrigin } from '../support/hostile-origin.ts'
import { isAlive, processesNaming } from '../support/processes.ts'
import { redisSkip, startRedis } from '../support/redis-server.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { type Attack, attacksOn } from './front-door-attacks.ts'

/** How much slower the API becomes is measured by the benchmark of the same attacks; here it must go on answering. */
const answerWithinMs = 2_000
const patience = { timeoutMs: 15_000 }

for (const tier of ['best', '1'])
  test(`at tier ${tier} an attacker gets what is written beside its attack, and nobody else notices`, {
    skip: redisSkip,
  }, async (t) => {
    const root = await tempDir(t)
    const dir = join(root, 'granted')
    const foreignFile = join(root, 'foreign.txt')
    mkdirSync(join(dir, 'out'), { recursive: true })
    writeFileSync(foreignFile, 'not yours')
    writeFileSync(join(dir, 'tool'), '#!/bin/sh\n', { mode: 0o755 })
    symlinkSync(foreignFile, join(dir, 'link'))
    const origin = await startHostileOrigin(t)
    const stage = await startAttackStage(t, { tier })
    await stage.orchestry.api('/api/v1/secrets/theirs', { method: 'PUT', body: { value: 'a secret of somebody else' } })
    const pids = new Set<number>()

    const redis = await startRedis(t)
    const grpc = await startGrpc(t, { health: { '': 'SERVING' } })
    const targets = { ...origin, dir, foreignFile, redisPort: redis.port, grpcPort: grpc.port }
    for (const attack of attacksOn(targets))
      await t.test(`${attack.name}: ${attack.title}`, async () => {
        if (attack.refused !== undefined) {
          assert.match(await stage.refusal(attack), attack.refused)
          return
        }
        await stage.install(attack)
        const { pid } = await stage.show(attack)
        if (pid !== undefined) pids.add(pid)
        await stage.release(attack)
        await expectContainment(stage, attack, pid)
        const [slowestMs = 0] = (await stage.apiAnswersMs(20, 5)).slice(-1)
        assert.ok(slowestMs <= answerWithinMs, `the API took ${slowestMs} ms to answer during it`)
        await stage.bystanderIsWell(attack.name)
        const last = (await stage.show(attack)).pid
        if (last !== undefined) pids.add(last)
        await stage.remove(attack)
      })
    assert.ok(!existsSync(join(dir, 'canary')), 'a script of a package was run')
    assert.equal(origin.forbiddenConnections(), 0, 'somebody connected to what no grant covers')
    await stage.orchestry.stop()
    await waitFor(() => [...pids].every((pid) => !isAlive(pid)), {
      what: 'every sandbox process to be gone',
      ...patience,
    })
    await waitFor(() => processesNaming(stage.orchestry.dataDir).length === 0, {
      what: 'no process to be left',
      ...patience,
    })
  })

async function expectContainment(stage: AttackStage, attack: Attack, pid: number | undefined): Promise<void> {
  const { told, error, incident, isKilled } = attack
  if (told !== undefined)
    assert.match(
      await waitFor(async () => (await stage.answer(attack))?.vote?.reason, {
        what: 'what the guest is told',
        ...patience,
      }),
      told,
    )
  if (error !== undefined)
    assert.match(
      await waitFor(async () => (await stage.answer(attack))?.error?.code, { what: 'the error vote', ...patience }),
      error,
    )
  if (incident !== undefined)
    await waitFor(async () => (await stage.show(attack)).incidents.some(({ code }) => incident.test(code)), {
      what: `an incident ${incident} that names the plugin`,
      ...patience,
    })
  if (isKilled === true && pid !== undefined)
    await waitFor(() => !isAlive(pid), { what: 'its process to be gone', ...patience })
}
