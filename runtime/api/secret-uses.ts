/** Who may use a secret: the apps whose environment names it, and the plugins whose grants do. Pure. */
import type { CapabilityRecord } from '@orchestry/sdk'
import type { AppRecord } from '../apps/app.ts'
import type { PluginView } from '../plugins/plugins.ts'

const scheme = 'secret://'

export function usersOf(
  secret: string,
  apps: readonly Pick<AppRecord, 'app'>[],
  plugins: readonly Pick<PluginView, 'id' | 'capabilities'>[],
): { apps: string[]; plugins: string[] } {
  return {
    apps: apps
      .filter(({ app }) => app.env.some((entry) => 'secret' in entry && entry.secret === secret))
      .map(({ app }) => app.name)
      .sort(),
    plugins: plugins
      .filter(({ capabilities }) => capabilities.some((grant) => secretsIn(grant).includes(secret)))
      .map(({ id }) => id)
      .sort(),
  }
}

function secretsIn(grant: CapabilityRecord): readonly string[] {
  switch (grant.kind) {
    case 'secrets':
      return grant.names
    case 'crypto':
      return grant.keys ?? []
    case 'net':
    case 'grpc':
      return grant.auth === undefined ? [] : [grant.auth.secret]
    case 'redis':
      return grant.url.startsWith(scheme) ? [grant.url.slice(scheme.length)] : []
    default:
      return []
  }
}
