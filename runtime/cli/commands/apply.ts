import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import type { Applied } from '../answers.ts'
import { awaitRollout } from '../await-rollout.ts'
import type { Client } from '../client.ts'
import { type Cli, type Declare, type FollowOptions, followsOnRequest, reads } from '../command.ts'
import { CliError, exitCodes, usageError } from '../exit.ts'
import { explain } from '../failure.ts'
import { styled } from '../terminal.ts'
import { type Placed, placeWorkingDir } from '../working-dir.ts'

interface ApplyOptions extends FollowOptions {
  file: string[]
  url?: string
  json?: boolean
}

export const declare: Declare = (command, cli) => {
  followsOnRequest(reads(command))
    .argument('[files...]', 'specs in YAML or JSON; - reads from standard input')
    .option(
      '-f, --file <file>',
      'the same, as an option; may be repeated',
      (file, files: string[]) => [...files, file],
      [],
    )
    .action(async (given: string[], options: ApplyOptions) => {
      const files = [...given, ...options.file]
      if (files.length === 0) throw usageError('No spec was given.', 'orchestry apply -f app.yaml')
      const client = cli.client(options)
      const answers: Applied[] = []
      let worst: number = exitCodes.done
      // One bad spec must not keep the others from being applied; each says for itself what became of it.
      for (const file of files) {
        try {
          const applied = await applyFile(file, client, cli)
          answers.push(applied)
          if (!options.json) say(applied, cli)
          await follow(applied, client, cli, options)
        } catch (thrown) {
          if (files.length === 1) throw thrown
          worst = Math.max(worst, explain(thrown, cli.terminal))
        }
      }
      if (options.json) cli.terminal.json(files.length === 1 ? answers[0] : answers)
      if (worst !== exitCodes.done) throw new CliError(worst, 'Not every spec was applied; the others were.')
    })
}

async function follow({ app }: Applied, client: Client, { terminal }: Cli, options: ApplyOptions): Promise<void> {
  if (!options.wait || !app.isRunning) return
  await awaitRollout(client, app.name, options.timeout, (line) => {
    if (!options.json) terminal.say(`  ${line}`)
  })
}

async function applyFile(file: string, client: Client, { terminal, deps }: Cli): Promise<Applied> {
  const given = file === '-' ? await readAll(deps.stdin ?? process.stdin) : await read(file)
  const { text, toOriginal } = placeWorkingDir(given, file === '-' ? process.cwd() : dirname(resolve(file)))
  const type = text.trimStart().startsWith('{') ? 'application/json' : 'application/yaml'
  try {
    return await terminal.during('applying', client.call<Applied>('PUT', '/api/v1/apps', { raw: { text, type } }))
  } catch (thrown) {
    throw thrown instanceof CliError ? inFile(thrown, file, toOriginal) : thrown
  }
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    const what = thrown.code === 'ENOENT' ? 'is not there' : `cannot be read (${thrown.code})`
    throw usageError(`The file ${JSON.stringify(file)} ${what}.`)
  })
}

function inFile(error: CliError, file: string, toOriginal: Placed['toOriginal']): CliError {
  const { exitCode, message, code, title, problems, hint } = error
  const isOurs = file !== '-' && exitCode === exitCodes.refused
  return new CliError(exitCode, isOurs ? `${file}: ${message}` : message, {
    problems: problems.map(toOriginal),
    hint,
    ...(code !== undefined && { code }),
    ...(title !== undefined && { title }),
  })
}

function say({ outcome, app }: Applied, { terminal }: Cli): void {
  terminal.say(styled('bold', app.name), ` ${outcome}`)
  if (!app.isRunning) terminal.say(`  It is stopped; start it with: orchestry up ${app.name}`)
}
