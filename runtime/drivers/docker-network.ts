/** The bridge network of one controller: made when the first replica needs it, removed when the last controller is told to go. */

import { OrchestryError } from '../errors.ts'
import type { DockerApi, NetworkDetails } from './docker-api.ts'
import { EngineRefusal } from './docker-connection.ts'
import { isOwnedBy, ownerLabels } from './docker-labels.ts'
import { networkName } from './docker-names.ts'
import { freeAddress } from './docker-subnet.ts'

/** Another program may take the range between our two steps. */
const mostAttempts = 5

export interface Network {
  readonly name: string
  ensure(): Promise<void>
  /** It was found to be gone: the next `ensure` looks. */
  forget(): void
  /** An address of it that nobody has now; who wants it asks the engine for it, which may say no. */
  freeAddress(): Promise<string>
  /** Where nothing is on it any more. */
  removeUnused(): Promise<void>
}

export function createNetwork({ api, ownerId }: { api: DockerApi; ownerId: string }): Network {
  const name = networkName(ownerId)
  let ready: Promise<void> | undefined

  const find = async (): Promise<NetworkDetails | undefined> => {
    const found = await api.network(name)
    if (found && !isOwnedBy(found.Labels, ownerId))
      throw new OrchestryError(
        'ORC_DRIVER_UNAVAILABLE',
        `The network ${name} of the Docker engine is not Orchestry's own, so no replica is put there. Remove or rename it.`,
      )
    return found
  }
  const create = (subnet?: { Subnet?: string; Gateway?: string }) => {
    const IPAM = subnet ? { IPAM: { Config: [subnet] } } : {}
    return api.createNetwork({
      Name: name,
      Driver: 'bridge',
      CheckDuplicate: true,
      Labels: ownerLabels(ownerId),
      ...IPAM,
    })
  }

  /**
   * The engine finds a range that is free on its machine, and only on a network whose range somebody has asked for may a
   * container ask for an address: so what it found is asked for.
   */
  const make = async (): Promise<void> => {
    const { Id } = await create()
    const [range] = (await api.network(Id))?.IPAM?.Config ?? []
    if (!range?.Subnet) return
    await api.removeNetwork(Id)
    await create({ Subnet: range.Subnet, ...(range.Gateway !== undefined && { Gateway: range.Gateway }) })
  }

  const look = async (): Promise<void> => {
    for (let attempt = 1; !(await find()); attempt++) {
      try {
        return await make()
      } catch (error) {
        // Somebody was quicker: with a network of this name, which is ours then, or with the range.
        if (!(error instanceof EngineRefusal) || attempt === mostAttempts) throw error
      }
    }
  }

  return {
    name,
    ensure: () => {
      ready ??= look()
      const mine = ready
      return mine.catch((error: unknown) => {
        if (ready === mine) ready = undefined
        throw error
      })
    },
    forget: () => {
      ready = undefined
    },
    freeAddress: async () => {
      const details = await api.network(name)
      const [range] = details?.IPAM?.Config ?? []
      const used = Object.values(details?.Containers ?? {}).map(
        ({ IPv4Address = '' }) => IPv4Address.split('/')[0] ?? '',
      )
      const found = freeAddress(range?.Subnet ?? '', [...used, range?.Gateway ?? ''], Math.random)
      if (found === undefined)
        throw new OrchestryError(
          'ORC_DRIVER_UNAVAILABLE',
          `The network ${name} (${range?.Subnet ?? 'of no known range'}) has no free address.`,
        )
      return found
    },
    removeUnused: async () => {
      ready = undefined
      const found = await api.network(name)
      if (!found || !isOwnedBy(found.Labels, ownerId)) return
      await api.removeNetwork(found.Id).catch((error: unknown) => {
        // Something is still on it: it stays, and is found again.
        if (!(error instanceof EngineRefusal)) throw error
      })
    },
  }
}
