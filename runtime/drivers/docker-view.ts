/** What the engine says of a container, as the driver tells it. Pure. */
import { constants } from 'node:os'
import type { ContainerDetails, ContainerState } from './docker-api.ts'
import { readLabels } from './docker-labels.ts'
import type { Instance } from './driver.ts'

export interface Container {
  readonly containerId: string
  readonly imageId: string
  readonly stopSignal: string
  readonly cpuMilli?: number
  readonly memoryBytes?: number
  /** As it is while it runs. */
  readonly instance: Instance
}

type Exit = NonNullable<Instance['exit']>

/** Undefined for a container that is no replica. */
export function containerOf(details: ContainerDetails, network: string): Container | undefined {
  const mark = readLabels(details.Config.Labels)
  if (!mark) return undefined
  const { id, app, version } = mark
  const { NanoCpus = 0, Memory = 0 } = details.HostConfig
  const startedAtMs = Date.parse(details.State.StartedAt)
  return {
    containerId: details.Id,
    imageId: details.Image,
    stopSignal: details.Config.StopSignal || 'SIGTERM',
    ...(NanoCpus > 0 && { cpuMilli: NanoCpus / 1_000_000 }),
    ...(Memory > 0 && { memoryBytes: Memory }),
    instance: {
      id,
      app,
      version,
      ...endpointOf(details, mark.port, network),
      startedAtMs: Number.isFinite(startedAtMs) ? Math.max(0, startedAtMs) : 0,
      isRunning: true,
    },
  }
}

/** Its published port where it has one, else its own address. One that has ended has neither any more. */
function endpointOf({ HostConfig, NetworkSettings }: ContainerDetails, port: number, network: string) {
  const key = `${port}/tcp`
  // Podman lists every exposed port here, those that are not published with nothing.
  if (HostConfig.PortBindings?.[key]?.length) {
    const [bound] = NetworkSettings.Ports?.[key] ?? []
    return { host: bound?.HostIp ?? '', port: bound ? Number(bound.HostPort) : port }
  }
  const networks = NetworkSettings.Networks ?? {}
  const host = networks[network]?.IPAddress || Object.values(networks).find(({ IPAddress }) => IPAddress)?.IPAddress
  return { host: host ?? '', port }
}

/** An engine tells of a signal only by an exit code above 128. */
export function exitOf(code: number | undefined, isOutOfMemory: boolean): Exit {
  if (code === undefined) return { code: null, signal: null }
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0] ?? null
  return { code, signal, ...(isOutOfMemory && { isOutOfMemory: true as const }) }
}

export const exitOfState = ({ ExitCode, OOMKilled }: ContainerState): Exit => exitOf(ExitCode, OOMKilled === true)
