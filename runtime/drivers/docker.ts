/**
 * Runs replicas as containers of a Docker engine. Everything it knows is on the engine, by its labels: the next controller with the
 * same owner id adopts what runs. An engine that is away takes nothing away: it is asked again, and what it runs goes on.
 */
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Log } from '../log.ts'
import { parseDockerHost } from './docker-address.ts'
import { createDockerApi } from './docker-api.ts'
import { createConnection } from './docker-connection.ts'
import { createContainers } from './docker-containers.ts'
import { createEventStream } from './docker-events.ts'
import { followContainer } from './docker-follow.ts'
import { createImages } from './docker-images.ts'
import { containerName } from './docker-names.ts'
import { createNetwork } from './docker-network.ts'
import { createOutput } from './docker-output.ts'
import type { DockerReach } from './docker-reach.ts'
import type { RegistryAuth } from './docker-registries.ts'
import { createStart } from './docker-start.ts'
import { createStatsStreams } from './docker-stats.ts'
import { createEndings } from './docker-stop.ts'
import { createSurroundings } from './docker-surroundings.ts'
import { containerOf } from './docker-view.ts'
import type { Driver, DriverEvent, Instance, StartRequest } from './driver.ts'

/** `close` is told no grace time; whoever wants another one stops the replicas first. */
const closeGraceMs = 5_000

export interface DockerDriverDeps {
  /** As `DOCKER_HOST` has it: unix:///var/run/docker.sock, tcp://engine:2376. */
  readonly host: string
  /** Directory of ca.pem, cert.pem and key.pem, for an engine that is spoken to over TLS. */
  readonly certDir?: string
  /** How long the engine may take for what needs no work; default 10 s. */
  readonly answerMs?: number
  /** How traffic gets to a container; the default looks at the engine. */
  readonly reach?: DockerReach
  /** Of the controller, the same after a restart: marks containers as its own. */
  readonly ownerId: string
  readonly authOf?: RegistryAuth
  readonly clock: Clock
  readonly log: Log
}

export function createDockerDriver(deps: DockerDriverDeps): Driver {
  const { host, certDir, answerMs, reach = 'auto', ownerId, authOf = () => undefined, clock, log } = deps
  const isTls = certDir !== undefined
  const api = createDockerApi(
    createConnection({ host, clock, ...(isTls && { certDir }), ...(answerMs !== undefined && { answerMs }) }),
  )
  const network = createNetwork({ api, ownerId })
  const images = createImages({ api, authOf, clock })
  const output = createOutput(api)
  const stats = createStatsStreams({ api, clock })
  const surroundings = createSurroundings({ api, reach, address: parseDockerHost(host, { isTls }), clock, log })
  const listeners = new Set<(event: DriverEvent) => void>()
  const starting = new Set<Promise<Instance>>()
  let isUsed = false
  let closing: Promise<void> | undefined

  const tell = (event: DriverEvent) => {
    for (const listener of [...listeners]) {
      try {
        listener(event)
      } catch (error) {
        log.error({ error: messageOf(error) }, 'a listener of driver events threw')
      }
    }
  }
  const containers = createContainers({
    api,
    output,
    endings: createEndings({ api, clock }),
    ownerId,
    network: network.name,
    log,
    onExit: (instance) => tell({ type: 'exited', instance }),
    onGone: stats.forget,
    onRunning: ({ instance, imageId }) => images.remember(instance, imageId),
  })
  const events = createEventStream({
    api,
    ownerId,
    clock,
    log,
    onEnd: (end) => void containers.ended(end),
    onGap: () => tell({ type: 'resync' }),
  })
  const launch = createStart({
    api,
    images,
    network,
    output,
    surroundings,
    ownerId,
    log,
    abandoned: containers.abandoned,
  })

  /** Whatever ends after this is heard. */
  const listen = async () => {
    if (closing) throw closed()
    isUsed = true
    await events.ensure()
  }
  const start = async (request: StartRequest): Promise<Instance> => {
    await listen()
    if (!containers.starting(request.id)) throw usedBefore(request)
    try {
      const container = containerOf(await launch(request), network.name)
      if (!container) throw closed()
      containers.started(container)
      return container.instance
    } catch (error) {
      containers.notStarted(request.id)
      throw error
    }
  }
  const close = async (keep: boolean) => {
    await Promise.allSettled(starting)
    const ended = keep ? [] : containers.all().map(({ instance }) => containers.stop(instance.id, closeGraceMs))
    const results = await Promise.allSettled(ended)
    await containers.idle()
    if (!keep && isUsed) await network.removeUnused().catch(() => undefined)
    events.close()
    stats.close()
    listeners.clear()
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  return {
    name: 'docker',
    prepare: async (request, options) => {
      if (closing) throw closed()
      await images.resolve(request, options)
    },
    list: async () => {
      await listen()
      return containers.list()
    },
    start: (request) => {
      const started = start(request)
      starting.add(started)
      return started.finally(() => starting.delete(started))
    },
    stop: (id, { graceSeconds }) => containers.stop(id, graceSeconds * 1000),
    usage: async (ids) => stats.usage(ids.flatMap((id) => containers.get(id) ?? [])),
    logs: async (id, { lines }) => {
      await containers.cleared(id)
      const container = containers.get(id)
      const kept = output.kept(id, lines)
      if (!container && kept) return kept
      const found = await output.read(container?.containerId ?? containerName(ownerId, id), id, lines)
      if (found) return found
      throw unknownInstance(id)
    },
    async *follow(id, options) {
      await containers.cleared(id)
      const container = containers.get(id)
      const kept = container ? undefined : output.kept(id, options.lines)
      if (kept) return yield kept
      const containerId = container?.containerId ?? containerName(ownerId, id)
      const followed = await followContainer(api, { containerId, id }, options)
      if (!followed) throw unknownInstance(id)
      yield* followed
    },
    watch: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    close: ({ keep }) => {
      closing ??= close(keep)
      return closing
    },
  }
}

function closed(): OrchestryError {
  return new OrchestryError('ORC_DRIVER_UNAVAILABLE', 'The Docker driver is closed. Nothing was started or stopped.')
}

function usedBefore({ app, id }: StartRequest): OrchestryError {
  return new OrchestryError(
    'ORC_DRIVER_START_FAILED',
    `A replica of ${app} could not be started: the instance id ${id} was used before. Nothing is left of the attempt.`,
  )
}

function unknownInstance(id: string): OrchestryError {
  return new OrchestryError(
    'ORC_INSTANCE_UNKNOWN',
    `The Docker driver knows no instance ${JSON.stringify(id)}; output of an ended one is kept for the last few of each app.`,
  )
}
