import type { ContainerPolicy } from '../../container-policy.ts'
import type { SandboxDescription } from '../../sandbox/sandbox.ts'
import type { ReadyAnswer } from '../answers.ts'
import { type Declare, reads } from '../command.ts'
import { styled } from '../terminal.ts'

type Options = { url?: string; json?: boolean }

export const declareConfig: Declare = (command, cli) => {
  reads(command).action(async (options: Options) => {
    const config = await cli.client(options).call<Record<string, unknown>>('GET', '/api/v1/config')
    if (options.json) return cli.terminal.json(config)
    await cli.terminal.table(
      ['SETTING', 'VALUE'],
      Object.entries(config).map(([name, value]) => [name, shown(value)]),
    )
  })
}

/** Lists and maps as they are written in a setting. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return value.join(', ')
  if (typeof value !== 'object' || value === null) return String(value)
  if (Object.values(value).some((part) => typeof part === 'object')) return JSON.stringify(value)
  return Object.entries(value)
    .map(([name, part]) => `${name}=${String(part)}`)
    .join(',')
}

export const declareInfo: Declare = (command, cli) => {
  reads(command).action(async (options: Options) => {
    const client = cli.client(options)
    const [ready, sandbox, { totals }, { plugins }, { containerPolicy }] = await Promise.all([
      client.call<ReadyAnswer>('GET', '/readyz', { alsoFine: [503] }),
      client.call<SandboxDescription>('GET', '/api/v1/sandbox'),
      client.call<{ totals: { apps: number; serving: number; desired: number } }>('GET', '/api/v1/metrics/summary'),
      client.call<{ plugins: { state: string }[] }>('GET', '/api/v1/plugins'),
      client.call<{ containerPolicy: ContainerPolicy }>('GET', '/api/v1/config'),
    ])
    const url = client.url
    const serving = plugins.filter(({ state }) => state === 'serving').length
    const { version } = cli.deps
    if (options.json)
      return cli.terminal.json({
        url,
        cli: version,
        ready,
        sandbox,
        totals,
        plugins: { installed: plugins.length, serving },
        containerPolicy,
      })
    cli.terminal.say(`api       ${url}  `, ready.ok ? styled('green', 'ready') : styled('red', 'not ready'))
    for (const problem of ready.problems) cli.terminal.say(styled('red', 'problem'), `   ${problem}`)
    cli.terminal.say(`apps      ${totals.apps}, ${totals.serving} of ${totals.desired} replicas serving`)
    cli.terminal.say(`plugins   ${plugins.length}, ${serving} serving`)
    for (const fact of policyFacts(containerPolicy)) cli.terminal.say(`images    ${fact}`)
    cli.terminal.say(`sandbox   ${sandbox.engine}, ${sandbox.isolation}, Node ${sandbox.node}`)
    const { tier, floor, tiers, holds, lacks } = sandbox
    cli.terminal.say(`tier      ${tier} of 3; plugins that are not Orchestry's own run from tier ${floor} on`)
    for (const fact of holds) cli.terminal.say(styled('green', 'holds'), `     ${fact}`)
    for (const fact of lacks) cli.terminal.say(styled('yellow', 'but'), `       ${fact}`)
    for (const missing of tiers.filter(({ isAvailable }) => !isAvailable))
      cli.terminal.say(`no tier ${missing.tier}: ${missing.why ?? ''}`)
    cli.terminal.say(`cli       ${version}, Node ${process.version}`)
  })
}

/** What the operator lets apps ask for of containers. */
function policyFacts({ images, capabilities, allowRoot, allowWritableRoot, ...bounds }: ContainerPolicy): string[] {
  const amounts = Object.entries(bounds).flatMap(([name, { default: usual, max }]) => [
    ...(usual === undefined ? [] : [`${name} ${usual} where none is given`]),
    ...(max === undefined ? [] : [`${name} at most ${max}`]),
  ])
  return [
    `of ${images.join(', ')}; ${allowRoot ? 'root' : 'no root'}, ${allowWritableRoot ? 'a writable root file system' : 'no writable root file system'}`,
    `may ask for ${capabilities.join(', ') || 'no capability'}`,
    ...(amounts.length === 0 ? [] : [`get ${amounts.join(', ')}`]),
  ]
}
