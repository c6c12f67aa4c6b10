/** The calls of the Docker API that the driver makes, each with its deadline; what an answer holds beyond these types is not read. */
import type { Readable } from 'node:stream'
import { containerDetails, containerList } from './docker-answer.ts'
import { type Connection, EngineRefusal } from './docker-connection.ts'
import type { ContainerBody } from './docker-container.ts'
import type { Labels } from './docker-labels.ts'

export interface ContainerSummary {
  readonly Id: string
  readonly ImageID: string
  readonly State: string
  readonly Labels?: Labels
}

export interface ContainerState {
  readonly Status: string
  readonly Running: boolean
  readonly OOMKilled?: boolean
  readonly ExitCode: number
  readonly StartedAt: string
}

export interface ContainerDetails {
  readonly Id: string
  readonly Image: string
  readonly State: ContainerState
  readonly Config: { readonly Labels?: Labels; readonly StopSignal?: string }
  readonly HostConfig: {
    readonly NanoCpus?: number
    readonly Memory?: number
    readonly PortBindings?: Readonly<Record<string, readonly object[] | null>> | null
  }
  readonly NetworkSettings: {
    readonly Ports?: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>> | null
    readonly Networks?: Readonly<Record<string, { readonly IPAddress?: string }>> | null
  }
}

export interface ImageDetails {
  readonly Id: string
  readonly Os?: string
  readonly Architecture?: string
  readonly Config?: { readonly ExposedPorts?: Readonly<Record<string, object>> | null } | null
}

export interface NetworkDetails {
  readonly Id: string
  readonly Labels?: Labels
  readonly IPAM?: { readonly Config?: readonly { Subnet?: string; Gateway?: string }[] | null }
  readonly Containers?: Readonly<Record<string, { readonly IPv4Address?: string }>> | null
}

export interface EngineInfo {
  readonly OperatingSystem?: string
  readonly OSType?: string
  readonly Architecture?: string
  readonly SecurityOptions?: readonly string[] | null
  readonly LoggingDriver?: string
}

const signalMs = 15_000
/** Creating and starting wait for the disk and for other containers; a busy engine takes its time. */
const slowMs = 60_000

export type DockerApi = ReturnType<typeof createDockerApi>

export function createDockerApi({ call, stream }: Connection) {
  const of = (id: string, verb: string) => `/containers/${encodeURIComponent(id)}${verb}`
  return {
    info: () => call<EngineInfo>({ method: 'GET', path: '/info' }),
    ping: (deadlineMs: number) => call<unknown>({ method: 'GET', path: '/_ping', deadlineMs }),

    containers: (label: string) =>
      call<unknown>({
        method: 'GET',
        path: '/containers/json',
        query: { all: true, filters: JSON.stringify({ label: [label] }) },
      }).then((answer) => containerList<ContainerSummary>(answer)),
    container: (id: string, deadlineMs?: number) =>
      orNothing(
        call<unknown>({ method: 'GET', path: of(id, '/json'), ...(deadlineMs && { deadlineMs }) }).then((answer) =>
          containerDetails<ContainerDetails>(answer),
        ),
      ),
    create: (name: string, body: ContainerBody) =>
      call<{ Id: string; Warnings?: readonly string[] | null }>({
        method: 'POST',
        path: '/containers/create',
        query: { name },
        body,
        deadlineMs: slowMs,
      }),
    start: (id: string) => call<unknown>({ method: 'POST', path: of(id, '/start'), deadlineMs: slowMs }),
    /** False when there is nothing left to send it to. */
    kill: async (id: string, signal: string) => {
      const sent = call<unknown>({ method: 'POST', path: of(id, '/kill'), query: { signal }, deadlineMs: signalMs })
      return unlessRefused(sent, [404, 409])
    },
    /** Resolves with true when it does not run any more, with false when the signal is aborted. */
    ended: async (id: string, signal: AbortSignal, deadlineMs: number) => {
      const query = { condition: 'not-running' }
      const over = call<unknown>({ method: 'POST', path: of(id, '/wait'), query, signal, deadlineMs })
      return over.then(
        () => true,
        (error: unknown) => {
          if (signal.aborted) return false
          if (error instanceof EngineRefusal && error.status === 404) return true
          throw error
        },
      )
    },
    /** Running or not, with its anonymous volumes. Also when somebody else removes it just now. */
    remove: async (id: string) => {
      const query = { force: true, v: true }
      return unlessRefused(call<unknown>({ method: 'DELETE', path: of(id, ''), query, deadlineMs: slowMs }), [404])
    },
    logs: (
      id: string,
      query: { stdout: boolean; stderr: boolean; timestamps: boolean; tail: number; follow?: boolean },
      signal?: AbortSignal,
    ) => orNothing(stream({ method: 'GET', path: of(id, '/logs'), query, ...(signal && { signal }) })),
    stats: (id: string, signal: AbortSignal) =>
      stream({ method: 'GET', path: of(id, '/stats'), query: { stream: true }, signal }),
    events: (filters: object, signal: AbortSignal): Promise<Readable> =>
      stream({ method: 'GET', path: '/events', query: { filters: JSON.stringify(filters) }, signal }),

    /** @param name well formed: it stands in the path as it is */
    image: (name: string) => orNothing(call<ImageDetails>({ method: 'GET', path: `/images/${name}/json` })),
    /** @param deadlineMs until the registry was reached and the first progress is told */
    pull: (image: string, tag: string, options: { auth?: object; signal: AbortSignal; deadlineMs: number }) =>
      stream({ method: 'POST', path: '/images/create', query: { fromImage: image, tag }, ...options }),

    network: (name: string) => orNothing(call<NetworkDetails>({ method: 'GET', path: `/networks/${name}` })),
    createNetwork: (body: object) =>
      call<{ Id: string }>({ method: 'POST', path: '/networks/create', body, deadlineMs: slowMs }),
    removeNetwork: (id: string) =>
      unlessRefused(call<unknown>({ method: 'DELETE', path: `/networks/${id}`, deadlineMs: slowMs }), [404]),
  }
}

async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch((error: unknown) => {
    if (error instanceof EngineRefusal && error.status === 404) return undefined
    throw error
  })
}

/** False when it was refused with one of these. */
async function unlessRefused(answer: Promise<unknown>, statuses: readonly number[]): Promise<boolean> {
  return answer.then(
    () => true,
    (error: unknown) => {
      if (error instanceof EngineRefusal && statuses.includes(error.status)) return false
      throw error
    },
  )
}
