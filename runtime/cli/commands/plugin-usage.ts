/** `orchestry plugin usage`: what plugins have used, as a table that can be sorted. */
import { type Command, Option } from 'commander'
import type { PluginUsageView, PluginView } from '../answers.ts'
import { pathOfPlugin } from '../client.ts'
import type { Cli } from '../command.ts'
import { number, state } from '../format.ts'
import type { Part } from '../terminal.ts'

type Instance = PluginUsageView['instances'][number]
type Used = Instance['hooks'][number]

const columns = {
  calls: 'CALLS',
  errors: 'ERRORS',
  cpuMs: 'CPU MS',
  wallMs: 'WALL MS',
  peakHeapMb: 'PEAK MB',
  hostCalls: 'HOST CALLS',
  bytesIn: 'IN',
  bytesOut: 'OUT',
  drops: 'DROPS',
} as const
type Column = keyof typeof columns
const columnNames = Object.keys(columns) as Column[]
const groupings = ['instance', 'hook', 'app'] as const

export interface UsageOptions {
  readonly url?: string
  readonly json?: boolean
  readonly by: (typeof groupings)[number]
  readonly sort: Column
}

export const declareUsage = (command: Command): Command =>
  command
    .argument('[id]', 'with or without its scope; without it all plugins')
    .addOption(new Option('--by <what>', 'one row for each').choices([...groupings]).default('instance'))
    .addOption(new Option('--sort <column>', 'the largest first').choices(columnNames).default('cpuMs'))

export async function showUsage(cli: Cli, id: string | undefined, options: UsageOptions): Promise<void> {
  const client = cli.client(options)
  const read = (one: string) => client.call<PluginUsageView>('GET', pathOfPlugin(one, '/usage'))
  if (id !== undefined && options.json) return cli.terminal.json(await read(id))
  const ids = id === undefined ? await idsOf(() => client.call('GET', '/api/v1/plugins')) : [id]
  const plugins = await Promise.all(ids.map(read))
  if (options.json) return cli.terminal.json(plugins)
  const lines = plugins.flatMap((plugin) =>
    plugin.instances.flatMap((instance) => linesOf(plugin, instance, options.by)),
  )
  // What has no account yet has not used anything.
  lines.sort((a, b) => (b.used?.[options.sort] ?? 0) - (a.used?.[options.sort] ?? 0))
  const heads = { instance: 'BREAKER', hook: 'HOOK', app: 'APP' }
  await cli.terminal.table(
    ['PLUGIN', 'INSTANCE', heads[options.by], ...columnNames.map((name) => columns[name])],
    lines.map(({ names, used }) => [
      ...names,
      ...columnNames.map((name) => (used === undefined ? '' : number(used[name]))),
    ]),
  )
}

async function idsOf(list: () => Promise<{ plugins: PluginView[] }>): Promise<string[]> {
  const { plugins } = await list()
  return plugins.map(({ id }) => id)
}

type Sums = Readonly<Record<Column, number>>
type Line = { readonly names: readonly Part[]; readonly used: Sums | undefined }

function linesOf({ id }: PluginUsageView, instance: Instance, by: UsageOptions['by']): Line[] {
  const { name, breaker, usage, hooks, rows } = instance
  if (by === 'instance') return [{ names: [id, name, state(breaker)], used: usage }]
  if (by === 'hook') return hooks.map((used) => ({ names: [id, name, used.hook], used }))
  const apps = new Map<string, Sums>()
  for (const row of rows) apps.set(row.app, sumOf(apps.get(row.app), row))
  return [...apps].map(([app, used]) => ({ names: [id, name, app === '' ? '(none)' : app], used }))
}

function sumOf(before: Sums | undefined, row: Used): Sums {
  const sums = { ...row }
  for (const name of columnNames) {
    const given = before?.[name] ?? 0
    sums[name] = name === 'peakHeapMb' ? Math.max(given, row[name]) : given + row[name]
  }
  return sums
}
