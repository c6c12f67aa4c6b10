/** Where the engine listens, for those who keep plugins from it: whoever may speak to it commands the machine. */
import { lookup } from 'node:dns/promises'
import { parseDockerHost } from './docker-address.ts'

interface Listener {
  readonly host: string
  readonly port: number
}

export interface DockerListeners {
  readonly sockets: readonly string[]
  /** Of a name, the addresses that it had when they were last looked up: begun anew with every call. */
  addresses(): readonly Listener[]
}

export function createDockerListeners(dockerHost: string): DockerListeners {
  const address = parseDockerHost(dockerHost)
  if (address?.kind !== 'tcp')
    return { sockets: address === undefined ? [] : [address.socketPath], addresses: () => [] }
  const { host, port } = address
  let found: readonly Listener[] = [{ host: host.replace(/^\[(.*)\]$/, '$1'), port }]
  let isLooking = false
  const look = () => {
    if (isLooking) return
    isLooking = true
    lookup(host, { all: true })
      .then((all) => {
        found = all.map((one) => ({ host: one.address, port }))
      })
      // A name that is not known now may have been, and be again: what was found stands.
      .catch(() => undefined)
      .finally(() => {
        isLooking = false
      })
  }
  look()
  return {
    sockets: [],
    addresses: () => {
      look()
      return found
    },
  }
}
