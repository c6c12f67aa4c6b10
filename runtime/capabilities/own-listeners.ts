/** What this Orchestry listens on itself: no plugin ever connects there, by whatever name and whatever it was granted. */
import { networkInterfaces } from 'node:os'
import { canonicalAddress, kindOf } from './addresses.ts'

export interface Listener {
  readonly host: string
  readonly port: number
}

export function isOwnListener(listeners: readonly Listener[], given: string, port: number): boolean {
  const samePort = listeners.filter((listener) => listener.port === port)
  if (samePort.length === 0) return false
  const address = canonicalAddress(given)
  return samePort.some(({ host }) => {
    const own = host === 'localhost' ? '127.0.0.1' : canonicalAddress(host)
    if (own === address || (host === 'localhost' && address === '::1')) return true
    const isEverywhere = own === '0.0.0.0' || own === '::'
    return isEverywhere && (kindOf(address) === 'loopback' || isOfThisMachine(address))
  })
}

function isOfThisMachine(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) =>
    all?.some((one) => canonicalAddress(one.address.split('%')[0] ?? '') === address),
  )
}
