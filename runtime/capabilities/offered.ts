/** Every capability that this runtime offers, put together from what the other rooms give. */
import type { AppView } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import type { Dataplane } from '../dataplane/dataplane.ts'
import type { Events } from '../events/events.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Secrets } from '../secrets/secrets.ts'
import type { Store } from '../store/store.ts'
import { createAppsCapability } from './apps.ts'
import type { Caller, Capability, CapabilityTable } from './capability.ts'
import { clockCapability } from './clock.ts'
import { createCryptoCapability } from './crypto.ts'
import type { Daemons } from './daemon.ts'
import { createEventsCapability } from './events.ts'
import { createExecCapability } from './exec.ts'
import { createFilesCapability } from './files.ts'
import { createGrpcCapability } from './grpc.ts'
import { createKvCapability } from './kv.ts'
import { createMetricsCapability } from './metrics.ts'
import { createNetCapability } from './net.ts'
import type { OwnDirs } from './own-dir.ts'
import type { Listener } from './own-listeners.ts'
import { createProxyCapability } from './proxy.ts'
import { randomCapability } from './random.ts'
import { createRedisCapability } from './redis.ts'
import { createSecretsCapability } from './secrets.ts'
import { createCapabilities } from './table.ts'
import { createTcpCapability } from './tcp.ts'
import { createTimersCapability } from './timers.ts'
import { createUnixCapability } from './unix.ts'

export interface OfferedDeps {
  readonly clock: Clock
  readonly store: Pick<Store, 'get' | 'list' | 'write'>
  readonly events: Pick<Events, 'append' | 'list'>
  readonly metrics: Pick<Metrics, 'snapshot' | 'record'>
  readonly secrets: Pick<Secrets, 'value' | 'redact' | 'redactData'>
  readonly dataplane: Pick<Dataplane, 'apply' | 'remove' | 'status' | 'traffic' | 'signals'>
  readonly log: Capability<'log'>
  /** Every app as a plugin may see it. */
  readonly appViews: () => readonly AppView[]
  readonly hasApp: (name: string) => boolean
  /** Clamps to the app's own bounds and records who asked and why. */
  readonly scale: (app: string, replicas: number, reason: string) => Promise<void>
  /** What this Orchestry listens on: no plugin ever connects there. */
  readonly ownListeners: () => readonly Listener[]
  /** Directories of this Orchestry itself: no plugin reads, runs or connects to anything in them. */
  readonly ownDirectories: readonly string[]
  readonly ownDirs: OwnDirs
  readonly daemons: Daemons
  readonly coreEventTypes: readonly string[]
  readonly coreMetrics: readonly string[]
}

export function createOfferedCapabilities(deps: OfferedDeps): CapabilityTable {
  const { clock, store, events, metrics, secrets, ownListeners, ownDirectories } = deps
  const outside = { clock, ownListeners, secretOf: secrets.value }
  const machine = { clock, reserved: ownDirectories, ownDirs: deps.ownDirs, daemons: deps.daemons }
  const list = [
    createNetCapability(outside),
    createTcpCapability(outside),
    createUnixCapability(machine),
    createGrpcCapability(outside),
    createRedisCapability(outside),
    createFilesCapability(machine),
    createExecCapability(machine),
    createSecretsCapability({ secretOf: secrets.value }),
    createCryptoCapability({ clock, secretOf: secrets.value }),
    createKvCapability({ store }),
    createEventsCapability({ events, clock, coreTypes: deps.coreEventTypes, redact: secrets.redact }),
    createAppsCapability({
      views: deps.appViews,
      scale: (app: string, replicas: number, reason: string, { instance }: Pick<Caller, 'instance'>) =>
        deps.scale(app, replicas, secrets.redact(`${instance}: ${reason}`)),
    }),
    createMetricsCapability({
      metrics,
      clock,
      coreMetrics: deps.coreMetrics,
      hasApp: deps.hasApp,
      redactData: secrets.redactData,
    }),
    createTimersCapability({ clock }),
    createProxyCapability(deps.dataplane),
    deps.log,
    clockCapability,
    randomCapability,
  ]
  return createCapabilities(list, clock, secrets.redact)
}
