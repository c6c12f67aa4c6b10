/** `orchestry`: the command line, speaking HTTP to a running Orchestry. */
import { Command } from 'commander'
import { createClient } from './client.ts'
import type { Cli, CliDeps } from './command.ts'
import { explain } from './failure.ts'
import { commandTable, type Row } from './table.ts'
import { createTerminal, type Terminal } from './terminal.ts'

const defaultUrl = 'http://127.0.0.1:8000'
const epilogue = `
Exit codes:
  0   done
  1   refused by the server, or not reached in time
  2   the command line is wrong; nothing was sent
  3   a new version failed and was rolled back
  69  nobody answers at the address of the API

Environment: ORCHESTRY_URL (address of the API), NO_COLOR; ORCHESTRY_PORT and others for serve.`

/** Parses nothing yet. Commands are stubs that fetch the real one when they are used, so that help comes at once. */
export function createCli(deps: CliDeps): Command {
  const terminal = terminalOf(deps)
  const program = new Command('orchestry')
  const cli: Cli = {
    terminal,
    deps,
    client: ({ url }) =>
      createClient(url ?? program.opts<{ url?: string }>().url ?? deps.env.ORCHESTRY_URL ?? defaultUrl),
  }
  program
    .description('Runs apps as replicas, keeps them healthy, routes traffic to them and scales them.')
    .version(deps.version, '-V, --version')
    .option('--url <url>', `address of the API (default: ORCHESTRY_URL or ${defaultUrl})`)
    .enablePositionalOptions()
    .helpCommand(false)
    .addHelpText('after', epilogue)
  speak(program, deps)
  for (const row of commandTable) program.addCommand(stubOf(row, cli))
  const help = program
    .command('help')
    .argument('[command...]')
    .description('how a command is used')
    .helpGroup('Orchestry:')
  help.action(async ([name, ...rest]: string[]) => {
    const known = commandTable.find((row) => name !== undefined && (row.name === name || row.alias === name))
    if (known) return runReal(known, [...rest, '--help'], cli)
    if (name !== undefined)
      program.error(`error: unknown command '${name}'`, { exitCode: 2, code: 'commander.unknownCommand' })
    program.help()
  })
  return program
}

/** Runs one command line (as `process.argv`) and resolves with its exit code; whatever goes wrong has been printed. */
export async function runCli(deps: CliDeps, argv: readonly string[]): Promise<number> {
  // A reader that has seen enough (`| head`) is no error.
  for (const stream of [deps.stdout, deps.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  try {
    await createCli(deps).parseAsync([...argv])
    return 0
  } catch (thrown) {
    return explain(thrown, terminalOf(deps))
  }
}

const terminalOf = ({ stdin = process.stdin, stdout, stderr, env }: CliDeps): Terminal =>
  createTerminal({ stdin, stdout, stderr, env })

/** Takes everything that follows, and leaves reading it to the real command. */
function stubOf(row: Row, cli: Cli): Command {
  const stub = new Command(row.name)
    .description(row.summary)
    .helpGroup(`${row.group}:`)
    .usage('[options]')
    .argument('[arguments...]')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action((rest: string[]) => runReal(row, rest, cli))
  if (row.alias !== undefined) stub.alias(row.alias)
  return stub
}

async function runReal(row: Row, args: readonly string[], cli: Cli): Promise<void> {
  const declare = await row.load()
  const real = new Command(`orchestry ${row.name}`).description(row.summary)
  if (row.alias !== undefined) real.alias(`orchestry ${row.alias}`)
  speak(real, cli.deps)
  declare(real, cli)
  await real.parseAsync([...args], { from: 'user' })
}

/** Prints where it is told to, and throws instead of ending the process. Set before sub-commands are made: they inherit it. */
function speak(command: Command, { stdout, stderr }: CliDeps): void {
  command
    .exitOverride()
    .showHelpAfterError('(--help shows how it is used)')
    .configureOutput({ writeOut: (text) => void stdout.write(text), writeErr: (text) => void stderr.write(text) })
}
