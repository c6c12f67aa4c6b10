/** How traffic gets to a container: by its own address, or by a port of the engine's machine. */
import { lookup } from 'node:dns/promises'
import { OrchestryError } from '../errors.ts'
import type { DockerAddress } from './docker-address.ts'
import type { EngineInfo } from './docker-api.ts'

/** The setting: `auto` looks at the engine. */
export type DockerReach = 'auto' | 'address' | 'port'

/** Whether a bridge of the engine is a bridge of this machine. Pure. */
export function isBridgeOurs(address: DockerAddress | undefined, info: EngineInfo, platform: string): boolean {
  if (address?.kind !== 'unix' || platform !== 'linux') return false
  // Desktop engines live in a machine of their own, rootless ones in a network of their own.
  const isElsewhere = /Docker Desktop|Rancher Desktop/i.test(info.OperatingSystem ?? '')
  return !isElsewhere && !(info.SecurityOptions ?? []).some((option) => option.includes('rootless'))
}

/** The address on which ports are published; undefined = none, containers are reached by theirs. */
export async function publishAddress(
  setting: DockerReach,
  address: DockerAddress | undefined,
  info: EngineInfo,
): Promise<string | undefined> {
  if (setting === 'address' || (setting === 'auto' && isBridgeOurs(address, info, process.platform))) return undefined
  if (address?.kind !== 'tcp') return '127.0.0.1'
  const found = await lookup(address.host, { family: 4 }).catch((cause: unknown) => {
    throw new OrchestryError(
      'ORC_DRIVER_UNAVAILABLE',
      `The host of the Docker engine, ${address.host}, has no IPv4 address.`,
      {
        cause,
      },
    )
  })
  return found.address
}
