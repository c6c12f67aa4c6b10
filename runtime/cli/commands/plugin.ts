import { readFile } from 'node:fs/promises'
import type { PluginLogLine, PluginView } from '../answers.ts'
import { pathOfPlugin } from '../client.ts'
import { type Cli, type Declare, reads, talks, wholeFrom } from '../command.ts'
import { usageError } from '../exit.ts'
import { state } from '../format.ts'
import { styled } from '../terminal.ts'
import { agree } from './delete.ts'
import { approvePlugin, type InstallOptions, installPlugin } from './plugin-install.ts'
import { sayCapabilities, sayLogLine, showPlugin } from './plugin-show.ts'
import { type TightenOptions, tightenPlugin } from './plugin-tighten.ts'
import { declareUsage, showUsage, type UsageOptions } from './plugin-usage.ts'

type Options = { url?: string; json?: boolean }
type ConfigOptions = Options & { name?: string; default?: boolean }

export const declare: Declare = (command, cli) => {
  const add = (name: string, summary: string) => command.command(name).description(summary)

  reads(add('install', 'install a plugin from a directory on this machine; the same id again upgrades it'))
    .argument('<dir>')
    .option('-c, --config <file|json>', 'the config, as a file or as it is')
    .option('--name <name>', 'of the instance that gets this config')
    .option('-y, --yes', 'grant what it asks for without being asked')
    .action((dir: string, options: Options & InstallOptions & { config?: string }) => install(cli, dir, options))
  reads(add('list', 'all installed plugins').alias('ls')).action((options: Options) => list(cli, options))
  reads(add('show', 'everything about one plugin'))
    .argument('<id>', 'with or without its scope')
    .action(async (id: string, options: Options) => {
      const plugin = await cli.client(options).call<PluginView>('GET', pathOfPlugin(id))
      if (options.json) return cli.terminal.json(plugin)
      showPlugin(cli.terminal, plugin)
    })
  declareUsage(reads(add('usage', 'what plugins have used'))).action((id: string | undefined, options: UsageOptions) =>
    showUsage(cli, id, options),
  )
  reads(add('logs', 'what a plugin logged'))
    .argument('<id>')
    .option('-n, --lines <count>', 'how many of the newest lines', wholeFrom(1, 500), 100)
    .action(async (id: string, options: Options & { lines: number }) => {
      const query = { lines: options.lines }
      const path = pathOfPlugin(id, '/logs')
      const { lines } = await cli.client(options).call<{ lines: PluginLogLine[] }>('GET', path, { query })
      if (options.json) return cli.terminal.json(lines)
      for (const line of lines) sayLogLine(cli.terminal, line)
    })
  reads(add('tighten', 'what a plugin may do and never did, and take it away'))
    .argument('<id>')
    .option('-i, --instance <name>', 'only this instance')
    .option('--apply', 'take it away')
    .option('--undo', 'give back what was taken away')
    .action((id: string, options: TightenOptions) => tightenPlugin(cli, id, options))
  reads(add('approve', 'agree to what the waiting version of a plugin asks for, and bring it up'))
    .argument('<id>')
    .action(async (id: string, options: Options) => say(cli, await approvePlugin(cli, id, options), options))
  for (const [action, summary] of [
    ['enable', 'let a plugin serve'],
    ['disable', 'take a plugin out of service'],
    ['reset', 'end a quarantine and close open breakers'],
  ] as const)
    reads(add(action, summary))
      .argument('<id>')
      .action(async (id: string, options: Options) => {
        const sent = cli.client(options).call<PluginView>('POST', pathOfPlugin(id, `/${action}`))
        say(cli, await cli.terminal.during(`${action} ${id}`, sent), options)
      })
  reads(add('config', 'show the configs of a plugin, or give an instance a new one'))
    .argument('<id>')
    .argument('[file|json]')
    .option('--name <name>', 'of the instance')
    .option('--default', 'let it answer for apps that name none of its kind')
    .action((id: string, config: string | undefined, options: ConfigOptions) => configure(cli, id, config, options))
  talks(add('remove', 'dispose of a plugin and forget it').alias('rm'))
    .argument('<id>')
    .option('-f, --force', 'do not ask')
    .action(async (id: string, options: Options & { force?: boolean }) => {
      const client = cli.client(options)
      const plugin = await client.call<PluginView>('GET', pathOfPlugin(id))
      await agree(cli, options.force, `Remove ${plugin.id}?`)
      await cli.terminal.during(`removing ${plugin.id}`, client.call('DELETE', pathOfPlugin(plugin.id)))
      cli.terminal.say(styled('bold', plugin.id), ' removed')
    })
}

async function install(cli: Cli, dir: string, options: Options & InstallOptions & { config?: string }): Promise<void> {
  const config = options.config === undefined ? undefined : await readJson(options.config)
  const plugin = await installPlugin(cli, dir, config, options)
  say(cli, plugin, options)
  if (!options.json) sayCapabilities(cli.terminal, plugin)
}

async function list(cli: Cli, options: Options): Promise<void> {
  const { plugins } = await cli.client(options).call<{ plugins: PluginView[] }>('GET', '/api/v1/plugins')
  if (options.json) return cli.terminal.json(plugins)
  if (plugins.length === 0) return cli.terminal.say('No plugins. Install one with: orchestry plugin install ./dir')
  await cli.terminal.table(
    ['ID', 'VERSION', 'STATE', 'HOOKS', 'INSTANCES', 'RESTARTS', 'MEMORY', 'PROBLEM'],
    plugins.map(({ id, version, state: word, hooks, instances, restarts, memoryMb, problem }) => [
      styled('bold', id),
      version,
      state(word),
      hooks.join(', '),
      instances.map(({ name }) => name).join(', '),
      String(restarts),
      `${Math.round(memoryMb)} MB`,
      problem ?? '',
    ]),
  )
}

async function configure(cli: Cli, id: string, given: string | undefined, options: ConfigOptions): Promise<void> {
  const client = cli.client(options)
  if (given === undefined && options.default !== true) {
    const { instances } = await client.call<PluginView>('GET', pathOfPlugin(id))
    const wanted = instances.filter(({ name }) => options.name === undefined || name === options.name)
    return cli.terminal.json(Object.fromEntries(wanted.map(({ name, config }) => [name, config ?? null])))
  }
  const body = {
    ...(given !== undefined && { config: await readJson(given) }),
    ...(options.name !== undefined && { instance: options.name }),
    ...(options.default === true && { isDefault: true }),
  }
  const sent = client.call<PluginView>('PUT', pathOfPlugin(id, '/config'), { body })
  say(cli, await cli.terminal.during(`configuring ${id}`, sent), options)
}

function say({ terminal }: Cli, plugin: PluginView, { json }: Options): void {
  if (json) return terminal.json(plugin)
  terminal.say(styled('bold', plugin.id), ` ${plugin.version}  `, state(plugin.state))
  if (plugin.problem !== undefined) terminal.say(styled('red', 'problem'), `  ${plugin.problem}`)
}

/** JSON as it is where it looks like an object, else the file of this name. */
async function readJson(given: string): Promise<unknown> {
  const isInline = given.trimStart().startsWith('{')
  const where = isInline ? 'The config' : `The config file ${JSON.stringify(given)}`
  const text = isInline
    ? given
    : await readFile(given, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
        throw usageError(`${where} cannot be read (${thrown.code}).`)
      })
  try {
    return JSON.parse(text) as unknown
  } catch (thrown) {
    throw usageError(`${where} is not JSON: ${(thrown as Error).message}.`)
  }
}
