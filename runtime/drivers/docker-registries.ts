/** Credentials of registries: what the setting says, and the password from the vault when it is needed. */
import { OrchestryError } from '../errors.ts'
import type { Registries } from '../registries.ts'

/**
 * What the engine is given for a registry; undefined where there are no credentials for this app.
 * Throws ORC_DRIVER_START_FAILED where there should be a secret and is none.
 */
export type RegistryAuth = (registry: string, app: string) => object | undefined

export function createRegistryAuth(deps: {
  registries: Registries
  secretOf: (name: string) => string | undefined
}): RegistryAuth {
  return (registry, app) => {
    const entry = Object.hasOwn(deps.registries, registry) ? deps.registries[registry] : undefined
    if (!entry || (entry.apps && !entry.apps.includes(app))) return undefined
    const password = deps.secretOf(entry.secret)
    if (password === undefined)
      throw new OrchestryError(
        'ORC_DRIVER_START_FAILED',
        `The credentials of registry ${registry} take their password from secret ${entry.secret}, which does not exist or cannot be read. Set it with: orchestry secret set ${entry.secret}. Nothing was started; it is tried again.`,
      )
    // Docker Hub is known to engines by its first address.
    const serveraddress = registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry
    return { username: entry.username, password, serveraddress }
  }
}
