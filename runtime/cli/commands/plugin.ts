import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { PluginView } from '../answers.ts'
import { pathOfPlugin } from '../client.ts'
import { type Cli, type Declare, reads, talks } from '../command.ts'
import { usageError } from '../exit.ts'
import { state } from '../format.ts'
import { styled } from '../terminal.ts'
import { agree } from './delete.ts'
import { sayCapabilities, showPlugin, showUsage } from './plugin-show.ts'

type Options = { url?: string; json?: boolean }

export const declare: Declare = (command, cli) => {
  const add = (name: string, summary: string) => command.command(name).description(summary)

  reads(add('install', 'install a plugin from a directory on this machine; the same id again upgrades it'))
    .argument('<dir>')
    .option('-c, --config <file|json>', 'the config, as a file or as it is')
    .option('--name <name>', 'of the instance that gets this config')
    .action((dir: string, options: Options & { config?: string; name?: string }) => install(cli, dir, options))
  reads(add('list', 'all installed plugins').alias('ls')).action((options: Options) => list(cli, options))
  reads(add('show', 'everything about one plugin'))
    .argument('<id>', 'with or without its scope')
    .action(async (id: string, options: Options) => {
      const plugin = await cli.client(options).call<PluginView>('GET', pathOfPlugin(id))
      if (options.json) return cli.terminal.json(plugin)
      showPlugin(cli.terminal, plugin)
    })
  reads(add('usage', 'what a plugin has used'))
    .argument('<id>')
    .action(async (id: string, options: Options) => {
      if (options.json) return cli.terminal.json(await cli.client(options).call('GET', pathOfPlugin(id, '/usage')))
      await showUsage(cli.terminal, await cli.client(options).call<PluginView>('GET', pathOfPlugin(id)))
    })
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
    .action((id: string, config: string | undefined, options: Options & { name?: string }) =>
      configure(cli, id, config, options),
    )
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

async function install(cli: Cli, dir: string, options: Options & { config?: string; name?: string }): Promise<void> {
  const body = {
    source: { path: resolve(dir) },
    ...(options.config !== undefined && { config: await readJson(options.config) }),
    ...(options.name !== undefined && { instance: options.name }),
  }
  const sent = cli.client(options).call<PluginView>('POST', '/api/v1/plugins', { body })
  const plugin = await cli.terminal.during('compiling and starting the plugin', sent)
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

async function configure(
  cli: Cli,
  id: string,
  given: string | undefined,
  options: Options & { name?: string },
): Promise<void> {
  const client = cli.client(options)
  if (given === undefined) {
    const { instances } = await client.call<PluginView>('GET', pathOfPlugin(id))
    const wanted = instances.filter(({ name }) => options.name === undefined || name === options.name)
    return cli.terminal.json(Object.fromEntries(wanted.map(({ name, config }) => [name, config ?? null])))
  }
  const body = { config: await readJson(given), ...(options.name !== undefined && { instance: options.name }) }
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
