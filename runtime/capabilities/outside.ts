/** What the capabilities that connect to others have in common: whom they ask, and where none of them ever connects. */
import type { Clock } from '../clock.ts'
import { type AddressGrant, isGranted, kindOf } from './addresses.ts'
import { isOwnListener, type Listener } from './own-listeners.ts'
import type { IsAllowed, Resolve } from './resolve.ts'

export interface Outside {
  readonly clock: Clock
  /** What this Orchestry listens on: no plugin ever connects there, whatever it was granted. */
  readonly ownListeners: () => readonly Listener[]
  /** Default: that of the system. */
  readonly resolve?: Resolve
}

export function allowedBy(grant: AddressGrant, { ownListeners }: Outside): IsAllowed {
  return (address, port) => isGranted(address, grant) && !isOwnListener(ownListeners(), address, port)
}

/** Which address an instance may have was decided by the endpoint itself; only what nobody may reach is left to refuse. */
export function allowedForInstances({ ownListeners }: Outside): IsAllowed {
  return (address, port) => kindOf(address) !== 'never' && !isOwnListener(ownListeners(), address, port)
}
