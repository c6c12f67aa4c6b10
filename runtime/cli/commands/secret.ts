/** A value is read from standard input or a file, never from the command line: that is seen in lists of processes and kept in histories. */
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { SecretAnswer } from '../answers.ts'
import { pathOfSecret } from '../client.ts'
import { type Cli, type Declare, reads, talks } from '../command.ts'
import { usageError } from '../exit.ts'
import { time } from '../format.ts'
import { styled } from '../terminal.ts'
import { agree } from './delete.ts'

type Options = { url?: string; json?: boolean }

export const declare: Declare = (command, cli) => {
  const add = (name: string, summary: string) => command.command(name).description(summary)

  reads(add('set', 'set a secret to what standard input holds, without the line break at its end'))
    .argument('<name>')
    // Refused below, because commander would repeat what is too much.
    .allowExcessArguments()
    .option('--file <path>', 'read the value from this file instead')
    .addHelpText(
      'after',
      '\nThe value is never an argument:\n  printf %s "$TOKEN" | orchestry secret set api-token\n\nOrchestry hides it in all that it and its plugins write. What an app prints of it, `orchestry logs` shows.',
    )
    .action((name: string, options: Options & { file?: string }, { args }: Command) => {
      if (args.length > 1)
        throw usageError(
          'A value is never given on the command line, where others can see it. Nothing was sent; if that was the secret, take a new one.',
          `printf %s "$TOKEN" | orchestry secret set ${name}`,
        )
      return set(cli, name, options)
    })
  reads(add('list', 'all secrets and who may use them, never their values').alias('ls')).action((options: Options) =>
    list(cli, options),
  )
  talks(add('remove', 'forget a secret').alias('rm'))
    .argument('<name>')
    .option('-f, --force', 'do not ask')
    .action(async (name: string, options: Options & { force?: boolean }) => {
      const client = cli.client(options)
      const { apps, plugins } = await client.call<SecretAnswer>('GET', pathOfSecret(name))
      const users = [...apps, ...plugins].join(', ')
      await agree(cli, options.force, `Remove ${name}${users === '' ? '' : `, which ${users} may use`}?`)
      await client.call('DELETE', pathOfSecret(name))
      cli.terminal.say(styled('bold', name), ' removed')
    })
}

async function set(cli: Cli, name: string, options: Options & { file?: string }): Promise<void> {
  const given = options.file === undefined ? await readStdin(cli) : await readFrom(options.file)
  // Editors and `echo` put a line break there; hardly any secret ends in one.
  const value = textOf(given).replace(/\r?\n$/, '')
  if (value === '')
    throw usageError('The value is empty. Nothing was sent.', 'printf %s "$TOKEN" | orchestry secret set NAME')
  const secret = await cli.client(options).call<SecretAnswer>('PUT', pathOfSecret(name), { body: { value } })
  if (options.json) return cli.terminal.json(secret)
  cli.terminal.say(styled('bold', secret.name), ' set')
  if (secret.apps.length > 0) cli.terminal.say(`  Replicas that start from now on get it: ${secret.apps.join(', ')}`)
}

/** Bytes that are no text would be stored as something else. */
function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw usageError(
      'The value is not text in UTF-8. Nothing was sent.',
      'store it in base64 if it is made of other bytes',
    )
  }
}

async function readStdin({ terminal, deps }: Cli): Promise<Buffer> {
  const stdin = deps.stdin ?? process.stdin
  if (stdin.isTTY) terminal.complain('The value is read from here and shown while you type; end it with ctrl-d.')
  return buffer(stdin)
}

function readFrom(path: string): Promise<Buffer> {
  return readFile(path).catch((thrown: NodeJS.ErrnoException) => {
    const what = thrown.code === 'ENOENT' ? 'is not there' : `cannot be read (${thrown.code})`
    throw usageError(`The file ${JSON.stringify(path)} ${what}. Nothing was sent.`)
  })
}

async function list(cli: Cli, options: Options): Promise<void> {
  const { secrets } = await cli.client(options).call<{ secrets: SecretAnswer[] }>('GET', '/api/v1/secrets')
  if (options.json) return cli.terminal.json(secrets)
  if (secrets.length === 0)
    return cli.terminal.say('No secrets. Set one with: printf %s "$TOKEN" | orchestry secret set NAME')
  await cli.terminal.table(
    ['NAME', 'SET', 'APPS', 'PLUGINS'],
    secrets.map(({ name, updatedAtMs, apps, plugins }) => [
      styled('bold', name),
      time(updatedAtMs),
      apps.join(', '),
      plugins.join(', '),
    ]),
  )
}
