/** Starts one replica: image, network, container; or leaves nothing behind. */
import { OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { ContainerDetails, DockerApi } from './docker-api.ts'
import { EngineRefusal } from './docker-connection.ts'
import { containerBody, type Placement } from './docker-container.ts'
import type { Image, Images } from './docker-images.ts'
import { containerName, isNameable } from './docker-names.ts'
import type { Network } from './docker-network.ts'
import type { Output } from './docker-output.ts'
import { endedAtOnce, type StartFailure, startFailure } from './docker-start-words.ts'
import type { Surroundings } from './docker-surroundings.ts'
import type { StartRequest } from './driver.ts'

/** For an app that says nothing and an image that says nothing either; `PORT` tells it. */
const usualPort = 8080
const mostAttempts = 4
const lastLines = 5

export interface StartParts {
  readonly api: DockerApi
  readonly images: Images
  readonly network: Network
  readonly output: Output
  readonly surroundings: () => Promise<Surroundings>
  readonly ownerId: string
  readonly log: Pick<Log, 'warn'>
  /** A container of this id may be there or come to be, and nobody waits for it. */
  abandoned(id: string): void
}

/** Throws like `start` of a driver. */
export function createStart(parts: StartParts): (request: StartRequest) => Promise<ContainerDetails> {
  const { api, images, network, output, surroundings, ownerId, log, abandoned } = parts
  const warned = new Set<string>()

  async function placementOf(request: StartRequest, image: Image): Promise<Placement> {
    const { publishOn, logDriver } = await surroundings()
    await network.ensure()
    const wantsIp = Object.values(request.envFields).includes('instance.ip')
    return {
      ownerId,
      imageId: image.id,
      port: request.containerPort ?? Math.min(...image.exposedPorts, ...(image.exposedPorts.length ? [] : [usualPort])),
      network: network.name,
      ...(wantsIp && { ip: await network.freeAddress() }),
      ...(publishOn !== undefined && { publishOn }),
      logDriver,
      logBytes: limits.instanceLogBytes,
    }
  }

  async function create(request: StartRequest, place: Placement): Promise<string> {
    const { Id, Warnings } = await api.create(containerName(ownerId, request.id), containerBody(request, place))
    for (const warning of Warnings ?? []) {
      if (warned.size > 100 || warned.has(warning)) continue
      warned.add(warning)
      log.warn({ app: request.app, warning }, 'the Docker engine warns of a container')
    }
    return Id
  }

  /** Undefined: it came between that makes another attempt worth while. */
  async function attempt(request: StartRequest, image: Image): Promise<ContainerDetails | undefined> {
    const place = await placementOf(request, image)
    let containerId: string | undefined
    try {
      containerId = await create(request, place)
      await api.start(containerId)
      const details = await api.container(containerId)
      if (details?.State.Running) return details
      throw await ended(request, details, containerId)
    } catch (thrown) {
      await undo(request, containerId, thrown)
      if (!(thrown instanceof EngineRefusal)) throw thrown
      if (isPassing(thrown.message, network)) return undefined
      const isNameTaken = containerId === undefined && thrown.status === 409
      if (isNameTaken) throw failed(startFailure(request, `the instance id ${request.id} was used before`))
      const { platform } = await surroundings()
      throw failed(startFailure(request, thrown.message, { image: image.platform, engine: platform }))
    }
  }

  async function ended(request: StartRequest, details: ContainerDetails | undefined, containerId: string) {
    const { id, app } = request
    await output.keep(containerId, { id, app })
    const lines = (output.kept(id, lastLines) ?? []).map(({ line }) => line)
    return failed(endedAtOnce(request, details?.State.ExitCode ?? 0, lines))
  }

  /** Where the engine does not answer nobody knows what it still does: it is looked after when it does. */
  async function undo(request: StartRequest, containerId: string | undefined, thrown: unknown): Promise<void> {
    if (containerId === undefined) {
      if (!(thrown instanceof EngineRefusal)) abandoned(request.id)
      return
    }
    await api.remove(containerId).catch(() => abandoned(request.id))
  }

  return async (request) => {
    if (!isNameable(request.id))
      throw failed(startFailure(request, `its instance id ${JSON.stringify(request.id)} cannot name a container`))
    for (let tries = 1; tries <= mostAttempts; tries++) {
      const options = { onProgress: () => undefined, signal: new AbortController().signal }
      const image = await images.resolve(request, options)
      const details = await attempt(request, image)
      if (details) return details
    }
    throw new OrchestryError(
      'ORC_DRIVER_UNAVAILABLE',
      `A replica of ${request.app} could not be started ${mostAttempts} times in a row, because its image, its network or its address was gone each time. Nothing is left of the attempts.`,
    )
  }
}

function isPassing(said: string, network: Network): boolean {
  if (/network .* not found|could not find .*network/i.test(said)) {
    network.forget()
    return true
  }
  return /no such image|address already in use|port is already allocated/i.test(said)
}

const failed = ({ code, detail }: StartFailure) => new OrchestryError(code, detail)
