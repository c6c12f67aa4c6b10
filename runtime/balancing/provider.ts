/** Which load balancer carries an app. Pure. */
import { OrchestryError } from '../errors.ts'
import type { Provider } from '../hooks/hooks.ts'

/**
 * The one the app names, else the default. One that is not serving is still the one: traffic does not hop between load balancers.
 * @throws ORC_BALANCING_NO_BALANCER naming those that exist.
 */
export function chooseProvider(app: string, named: string | undefined, providers: readonly Provider[]): Provider {
  const found =
    named === undefined
      ? (providers.find((provider) => provider.isDefault) ?? (providers.length === 1 ? providers[0] : undefined))
      : providers.find((provider) => provider.instance === named)
  if (found) return found
  if (providers.length === 0) {
    throw new OrchestryError(
      'ORC_BALANCING_NO_BALANCER',
      `No load balancer plugin is enabled, so nothing can tell traffic of ${app} where to go; requests keep going where they went. See: orchestry plugin list, then: orchestry plugin enable NAME.`,
    )
  }
  const existing = providers.map((provider) => provider.instance).join(', ')
  throw new OrchestryError(
    'ORC_BALANCING_NO_BALANCER',
    named === undefined
      ? `App ${app} names no load balancer in ingress.loadBalancer and none is the default (there are: ${existing}).`
      : `App ${app} wants the load balancer ${named}, which no enabled plugin offers (there are: ${existing}). One that waits for its config offers nothing yet; see: orchestry plugin list, then: orchestry plugin config ${named} '{ … }'.`,
  )
}
