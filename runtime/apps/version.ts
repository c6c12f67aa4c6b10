/** Which apps need other replicas: a hash of everything that a running replica was started with. Pure. */
import { createHash } from 'node:crypto'
import type { App, EnvEntry } from './app.ts'

/**
 * The first 16 hex digits of a sha-256. How an app is scaled, probed, routed, labelled and rolled out is not in it: changing that
 * must not replace a single replica. The order of environment variables means nothing, that of ports and arguments does.
 * @param restarts how often all replicas were to be replaced without another spec
 */
export function versionOf(app: App, restarts = 0): string {
  const { driver, image, command, args, workingDir, env, ports, cpuMilli, memoryBytes, volumes, security, pids } = app
  const parts: unknown[] = [
    driver,
    image ?? null,
    command,
    workingDir ?? null,
    env.map(textOf).toSorted(),
    ports.map(({ containerPort, protocol, name }) => [containerPort, protocol, name ?? null]),
    cpuMilli ?? null,
    memoryBytes ?? null,
    // Only where they are there, so that an app without them is of the version that it was before there were such fields.
    ...Object.entries({ args, volumes, security, pids }).filter(([, value]) => value !== undefined),
  ]
  if (restarts > 0) parts.push({ restarts })
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

const textOf = (entry: EnvEntry): string =>
  JSON.stringify([
    entry.name,
    'value' in entry ? { value: entry.value } : 'secret' in entry ? { secret: entry.secret } : { field: entry.field },
  ])
