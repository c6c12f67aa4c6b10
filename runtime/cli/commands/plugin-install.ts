/** `plugin install` and `plugin approve`: what a plugin asks for is shown before it gets it. */
import { resolve } from 'node:path'
import type { PluginView } from '../answers.ts'
import { type CallOptions, pathOfPlugin } from '../client.ts'
import type { Cli } from '../command.ts'
import { CliError, exitCodes } from '../exit.ts'
import { styled } from '../terminal.ts'

export interface InstallOptions {
  readonly url?: string
  readonly name?: string
  readonly yes?: boolean
}

const consentNeeded = 'ORC_PLUGIN_CONSENT_NEEDED'

/** Asks where there is somebody to ask; else what is not agreed to with `--yes` is refused with what was asked for. */
export async function installPlugin(
  cli: Cli,
  dir: string,
  config: unknown,
  { name, yes, ...options }: InstallOptions,
): Promise<PluginView> {
  const send = (isAgreed: boolean) => {
    const body: CallOptions['body'] = {
      source: { path: resolve(dir) },
      ...(config !== undefined && { config }),
      ...(name !== undefined && { instance: name }),
      ...(isAgreed && { grants: 'asked' }),
    }
    const sent = cli.client(options).call<PluginView>('POST', '/api/v1/plugins', { body })
    return cli.terminal.during('compiling and starting the plugin', sent)
  }
  try {
    return await send(yes === true)
  } catch (thrown) {
    // Where nobody can be asked, the error says what it asks for and how to agree.
    if (!(thrown instanceof CliError) || thrown.code !== consentNeeded || !cli.terminal.canAsk) throw thrown
    cli.terminal.complain('It asks for:')
    for (const { message } of thrown.problems) cli.terminal.complain(`  ${message}`)
    if ((await cli.terminal.confirm('Grant this?')) !== true)
      throw new CliError(exitCodes.refused, 'It was not granted. What served before serves on.')
    return await send(true)
  }
}

/** Says what it is that is agreed to; typing the command is the agreement. */
export async function approvePlugin(cli: Cli, id: string, options: { url?: string; json?: boolean }) {
  const client = cli.client(options)
  const { pending } = await client.call<PluginView>('GET', pathOfPlugin(id))
  if (pending !== undefined && !options.json) sayPending(cli, pending)
  const sent = client.call<PluginView>('POST', pathOfPlugin(id, '/approve'))
  return await cli.terminal.during(`bringing up ${id}`, sent)
}

export function sayPending(
  { terminal }: Pick<Cli, 'terminal'>,
  { version, differences }: NonNullable<PluginView['pending']>,
) {
  terminal.say(styled('yellow', 'pending'), `   ${version} asks for more than was granted`)
  for (const difference of differences) terminal.say(`  wants   ${difference}`)
}
