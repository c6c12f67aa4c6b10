/** Which apps need other replicas: a hash of everything that a running replica was started with. Pure. */
import { createHash } from 'node:crypto'
import type { App } from './app.ts'

/**
 * The first 16 hex digits of a sha-256. How an app is scaled, probed, routed, labelled and rolled out is not in it: changing that
 * must not replace a single replica. The order of environment variables means nothing, that of ports and arguments does.
 */
export function versionOf(app: App): string {
  const { driver, image, command, workingDir, env, ports, cpuMilli, memoryBytes } = app
  const parts = [
    driver,
    image ?? null,
    command,
    workingDir ?? null,
    env.map((entry) => Object.entries(entry).sort()).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    ports.map(({ containerPort, protocol, name }) => [containerPort, protocol, name ?? null]),
    cpuMilli ?? null,
    memoryBytes ?? null,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}
