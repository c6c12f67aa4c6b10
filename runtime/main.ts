/** The process: arguments, signals, exit code. Everything else is in rooms. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { runCli } from './cli/cli.ts'
import { readConfig, type Settings } from './config.ts'
import type { Host } from './host.ts'
import { createLog } from './log.ts'

const { version } = createRequire(import.meta.url)(besideThis('./package.json', '../package.json')) as {
  version: string
}

/** Where the plugins lie that come with Orchestry: beside the runtime in a source tree, inside the published package. */
function builtinDirs(): string[] {
  return [besideThis('../plugins-builtin', './plugins-builtin')].filter((path) => existsSync(path))
}

function besideThis(...candidates: string[]): string {
  const paths = candidates.map((candidate) => fileURLToPath(new URL(candidate, import.meta.url)))
  return paths.find((path) => existsSync(path)) ?? String(paths[0])
}

async function serve(settings: Settings): Promise<void> {
  const config = readConfig(settings, process.env, builtinDirs())
  const log = createLog({ level: config.logLevel, isForPeople: process.stderr.isTTY === true })
  const stopped = new Promise<void>((resolve) => {
    let signals = 0
    const onSignal = (signal: NodeJS.Signals) => {
      signals += 1
      // The second time somebody means it: what runs is adopted by the next start.
      if (signals > 1) process.exit(130)
      if (process.stdout.isTTY) process.stdout.write(`\n${signal}: stopping replicas (again to leave them running)\n`)
      resolve()
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  })
  // A fault of ours must not take the apps down with it: it is said, and the loops go on.
  process.on('unhandledRejection', (reason) => log.error({ error: String(reason) }, 'a rejection nobody handled'))

  const { startHost } = await import('./host.ts')
  const host = await startHost(config, log)
  process.stdout.write(welcome(host))
  await stopped
  await host.stop()
}

function welcome({ url, proxyUrl, problems }: Host): string {
  const lines = [
    `Orchestry ${version} serves its API and page on ${url}`,
    `Traffic of apps comes in on       ${proxyUrl}`,
    ...problems.map((problem) => `! ${problem}`),
    '',
    'Next:',
    ...(url === 'http://127.0.0.1:8000' ? [] : [`  export ORCHESTRY_URL=${url}`]),
    '  npx orchestry apply -f app.yaml      run an app (README.md shows one)',
    '  npx orchestry status                 see what runs',
    '  npx orchestry plugin list            see what decides',
    '  npx orchestry demo                   watch it scale under load',
    '',
  ]
  return `${lines.join('\n')}\n`
}

async function demo(): Promise<void> {
  const [{ runDemo }, { startHost }] = await Promise.all([import('./demo/demo.ts'), import('./host.ts')])
  await runDemo({ startHost, builtinDirs: builtinDirs(), out: process.stdout })
}

const deps = { serve, demo, version, stdout: process.stdout, stderr: process.stderr, env: process.env }
process.exitCode = await runCli(deps, process.argv)
