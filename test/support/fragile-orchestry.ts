/**
 * The real host in a process that ends itself by SIGKILL: at the given step (`--die-at 'before start'`), the n-th time it comes by
 * (`--die-nth 2`), counted from the moment the process gets SIGUSR2. Takes the arguments of `serve` that scenarios use.
 */
import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readConfig } from '../../runtime/config.ts'
import { startHost } from '../../runtime/host.ts'
import { createLog } from '../../runtime/log.ts'

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    'proxy-port': { type: 'string', default: '0' },
    'data-dir': { type: 'string', default: '' },
    'die-at': { type: 'string', default: '' },
    'die-nth': { type: 'string', default: '1' },
  },
})
let left = Number.POSITIVE_INFINITY
process.on('SIGUSR2', () => {
  left = Number(values['die-nth'])
  process.stdout.write('armed\n')
})
const atStep = (step: string) => {
  if (step !== values['die-at']) return
  left -= 1
  if (left > 0) return
  writeSync(2, `killed ${step}\n`)
  process.kill(process.pid, 'SIGKILL')
}

const config = readConfig(
  { port: values.port, proxyPort: values['proxy-port'], dataDir: values['data-dir'], logLevel: 'error' },
  process.env,
  [fileURLToPath(new URL('../../plugins-builtin', import.meta.url))],
)
const host = await startHost(config, createLog({ level: 'error' }), atStep)
process.stdout.write(`page on ${host.url}\ncomes in on ${host.proxyUrl}\n`)
process.on('SIGTERM', () => {
  host.stop().then(() => process.exit(0))
})
