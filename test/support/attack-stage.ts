/**
 * A whole Orchestry with a bystander on it, for plugins that mean harm: they come in by the front door, and what they do is
 * seen as an operator sees it. Each attack runs as the scaler of an app of its own.
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { appSpec } from './app-spec.ts'
import { type RunningOrchestry, startOrchestry } from './orchestry.ts'
import { writePlugin } from './plugin-folder.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

export interface Attacker {
  readonly name: string
  readonly capabilities?: readonly object[]
  readonly limits?: object
  /** Package fields beside those of every plugin. */
  readonly packageJson?: object
  /** Body of `async attack(ctx, hold)`: what it returns is told as the reason of a hold. */
  readonly body: string
  /** What stands in the module before `definePlugin`. */
  readonly head?: string
}

export interface Incident {
  readonly code: string
  readonly message: string
  readonly hook?: string
  readonly instance?: string
  readonly action?: string
  readonly atMs: number
}
export interface AttackerView {
  readonly id: string
  readonly state: string
  readonly pid?: number
  readonly restarts: number
  readonly incidents: readonly Incident[]
}
interface Vote {
  readonly scaler: string
  readonly vote?: { hold?: boolean; reason?: string; replicas?: number }
  readonly error?: { code: string; message: string }
}
export interface Decision {
  readonly id: string
  readonly action: string
  readonly to: number
  readonly votes: readonly Vote[]
}

export interface AttackStage {
  readonly orchestry: RunningOrchestry
  install(attacker: Attacker, options?: { config?: unknown }): Promise<void>
  /** What `plugin install` says of a package that should not get in. */
  refusal(attacker: Attacker): Promise<string>
  /** Gives the attacker an app, so that it is asked at every tick. */
  release(attacker: Attacker): Promise<void>
  /** The vote or error of the newest decision that has one of this attacker. */
  answer(attacker: Attacker): Promise<Vote | undefined>
  show(attacker: Attacker): Promise<AttackerView>
  /** Milliseconds of so many answers of the API, one after another with a pause between, the fastest first. */
  apiAnswersMs(count: number, pauseMs: number): Promise<number[]>
  /** Fails when the bystander was not asked, or did not answer, at any tick since the last look. */
  bystanderIsWell(what: string): Promise<void>
  remove(attacker: Attacker): Promise<void>
}

const tickMs = 250
const bystanderBody = `scaler: { metrics: [], decide: () => ({ replicas: 1, reason: 'nothing disturbs me' }) },`

export async function startAttackStage(t: Pick<TestContext, 'after'>, options: { tier: string }): Promise<AttackStage> {
  const orchestry = await startOrchestry(t, {
    args: ['--sandbox-tier', options.tier],
    env: { ORCHESTRY_TICK_MS: String(tickMs), ORCHESTRY_LOG_LEVEL: 'error' },
  })
  const folder = await tempDir(t)
  const write = async (attacker: Attacker, code: string) => {
    const dir = await writePlugin(`${folder}/${attacker.name}`, {
      name: attacker.name,
      manifest: { capabilities: attacker.capabilities ?? [], limits: { timeoutMs: 500, ...attacker.limits } },
      code,
    })
    if (attacker.packageJson === undefined) return dir
    const path = `${dir}/package.json`
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...attacker.packageJson }))
    return dir
  }
  const scaling = { scalers: [''], windowSeconds: 1, cooldownSeconds: 0, minReplicas: 1, maxReplicas: 3 }
  const addApp = (name: string, scaler: string) =>
    orchestry.api('/api/v1/apps', {
      method: 'POST',
      body: appSpec(name, { scaling: { ...scaling, scalers: [scaler] } }),
    })
  const decisions = (app: string, limit: number) =>
    orchestry.api<{ decisions: Decision[]; latest?: Decision }>(`/api/v1/apps/${app}/decisions?limit=${limit}`)

  const bystander = { name: 'bystander', body: '' }
  await write(
    bystander,
    `import { definePlugin } from '@orchestry/sdk'\nexport default definePlugin({ ${bystanderBody} })\n`,
  )
  const { code, stderr } = await orchestry.cli('plugin', 'install', `${folder}/bystander`)
  assert.equal(code, 0, stderr)
  await addApp('calm', 'bystander')
  const bystanderPid = async () => (await orchestry.api<AttackerView>('/api/v1/plugins/bystander')).pid
  await waitFor(async () => (await decisions('calm', 1)).decisions.length > 0, { what: 'the bystander to decide' })
  const pidBefore = await bystanderPid()
  let callsBefore = 0

  const codeOf = ({ head = '', body }: Attacker) => `import { definePlugin } from '@orchestry/sdk'
${head}
export default definePlugin({
  scaler: {
    metrics: [],
    async decide({ ctx, hold }) {
      const tell = async (work) => { try { return await work() } catch (error) { return error.code ?? error.message } }
      const told = await (async () => { ${body} })()
      return hold(typeof told === 'string' ? told : JSON.stringify(told) ?? 'nothing')
    },
  },
})
`
  const usage = async () => {
    const { instances } = await orchestry.api<{ instances: { usage: { calls: number; errors: number } }[] }>(
      '/api/v1/plugins/bystander/usage',
    )
    return instances[0]?.usage ?? { calls: 0, errors: 0 }
  }
  const installed = async (attacker: Attacker, extra: readonly string[]) => {
    const dir = await write(attacker, codeOf(attacker))
    return orchestry.cli('plugin', 'install', dir, '--yes', ...extra)
  }

  return {
    orchestry,
    async install(attacker, { config } = {}) {
      const result = await installed(attacker, config === undefined ? [] : ['--config', JSON.stringify(config)])
      assert.equal(result.code, 0, `${attacker.name} could not be installed: ${result.stderr}`)
    },
    async refusal(attacker) {
      const result = await installed(attacker, [])
      assert.notEqual(result.code, 0, `${attacker.name} was installed`)
      return result.stderr
    },
    release: async (attacker) => void (await addApp(`app-${attacker.name}`, attacker.name)),
    async answer(attacker) {
      const { latest } = await decisions(`app-${attacker.name}`, 1)
      return latest?.votes.find(({ scaler }) => scaler === attacker.name)
    },
    show: ({ name }) => orchestry.api<AttackerView>(`/api/v1/plugins/${name}`),

    async apiAnswersMs(count, pauseMs) {
      const samples: number[] = []
      for (let asked = 0; asked < count; asked += 1) {
        const startedMs = performance.now()
        await orchestry.api('/api/v1/apps/calm')
        samples.push(performance.now() - startedMs)
        await sleep(pauseMs)
      }
      return samples.sort((a, b) => a - b)
    },

    async bystanderIsWell(what) {
      await waitFor(async () => (await usage()).calls > callsBefore, {
        timeoutMs: 5_000,
        what: `the bystander to be asked again, during ${what}`,
      })
      const { calls, errors } = await usage()
      callsBefore = calls
      assert.equal(errors, 0, `a call of the bystander failed during ${what}`)
      assert.equal(await bystanderPid(), pidBefore, `the bystander's process was replaced during ${what}`)
    },

    async remove({ name }) {
      await orchestry.api(`/api/v1/apps/app-${name}?wait=0`, { method: 'DELETE' }).catch(() => {})
      await orchestry.api(`/api/v1/plugins/${name}`, { method: 'DELETE' })
    },
  }
}
