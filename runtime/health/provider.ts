/** Which plugin instance makes an app's health checks: chosen by the protocol it declares. Pure. */
import type { Provider } from '../hooks/hooks.ts'

export type Choice = { readonly instance: string } | { readonly problem: string }

/** Serving ones before resting ones, default ones before others, then the operator's order. */
export function chooseProvider(providers: readonly Provider[], protocol: string): Choice {
  const matching = providers.filter((provider) => protocolOf(provider).toLowerCase() === protocol.toLowerCase())
  const rank = (provider: Provider) => (provider.isServing ? 0 : 2) + (provider.isDefault ? 0 : 1)
  const [first] = matching.sort((a, b) => rank(a) - rank(b))
  if (first) return { instance: first.instance }
  const others = providers.map((provider) => `${protocolOf(provider)} (${provider.plugin})`)
  const offer = others.length > 0 ? `Plugins serve: ${others.join(', ')}.` : 'No plugin serves health checks.'
  return {
    problem: `No plugin serves health checks of protocol ${protocol}. ${offer} Replicas keep the state they have until one does.`,
  }
}

function protocolOf(provider: Provider): string {
  const { protocol } = provider.declares
  return typeof protocol === 'string' ? protocol : ''
}
