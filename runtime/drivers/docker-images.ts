/** Which image a version of an app runs: found on the engine, or pulled; and then kept to, whatever becomes of its tag. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { DockerApi, ImageDetails } from './docker-api.ts'
import { type ImageName, isImageId, parseImageName } from './docker-image-name.ts'
import { createPulls } from './docker-pulls.ts'
import type { RegistryAuth } from './docker-registries.ts'
import type { StartRequest } from './driver.ts'

export interface Image {
  readonly id: string
  /** What it was built for, such as linux/arm64. */
  readonly platform: string
  readonly exposedPorts: readonly number[]
}

export interface Images {
  /** What is there costs one look; what is missing is pulled. Throws like `prepare`. */
  resolve(
    request: Pick<StartRequest, 'app' | 'version' | 'image'>,
    options: { onProgress: (line: string) => void; signal: AbortSignal },
  ): Promise<Image>
  /** A running replica tells what its version runs, also to a controller that has just begun. */
  remember(of: { app: string; version: string }, imageId: string): void
}

export function createImages(deps: {
  api: DockerApi
  authOf: RegistryAuth
  clock: Pick<Clock, 'after' | 'monotonic'>
}): Images {
  const { api, authOf } = deps
  const pulls = createPulls(deps)
  /** Newest last, so that what is forgotten first is what has not been started for longest; `text` where we resolved it. */
  const resolved = new Map<string, { readonly imageId: string; readonly text?: string }>()
  const keyOf = ({ app, version }: { app: string; version: string }) => `${app}\n${version}`

  const remember = (of: { app: string; version: string }, imageId: string, text?: string) => {
    const key = keyOf(of)
    resolved.delete(key)
    resolved.set(key, { imageId, ...(text !== undefined && { text }) })
    const [oldest] = resolved.keys()
    if (resolved.size > limits.imageVersionsKnown && oldest !== undefined) resolved.delete(oldest)
  }

  const find = async (request: { app: string; version: string }, name: string): Promise<ImageDetails | undefined> => {
    const known = resolved.get(keyOf(request))
    const isSame = known !== undefined && (known.text ?? name) === name
    const same = isSame ? await api.image(known.imageId) : undefined
    return same ?? (await api.image(name))
  }

  return {
    remember: (of, imageId) => {
      // What we resolved is known better than by what runs of it.
      if (!resolved.has(keyOf(of))) remember(of, imageId)
    },
    resolve: async (request, options) => {
      const { app, image: text = '' } = request
      const name = isImageId(text) ? text : nameOf(app, text)
      let details = await find(request, text)
      if (!details) {
        if (typeof name === 'string')
          throw failed(app, `the Docker engine has no image ${text}, and an id cannot be pulled`)
        const auth = authOf(name.registry, app)
        await pulls.pull({ image: name, app, ...(auth && { auth }) }, options)
        details = await api.image(text)
      }
      if (!details) throw failed(app, `the image ${text} was pulled and is gone again`)
      remember(request, details.Id, text)
      return {
        id: details.Id,
        platform: `${details.Os ?? '?'}/${details.Architecture ?? '?'}`,
        exposedPorts: exposedPorts(details),
      }
    },
  }
}

const exposedPorts = ({ Config }: ImageDetails) =>
  Object.keys(Config?.ExposedPorts ?? {}).flatMap((port) => {
    const [, number] = /^(\d+)(?:\/tcp)?$/.exec(port) ?? []
    return number === undefined ? [] : [Number(number)]
  })

function nameOf(app: string, text: string): ImageName {
  const name = parseImageName(text)
  if (name) return name
  throw failed(app, `${JSON.stringify(text)} is no reference to an image, such as registry.example/shop:1.4`)
}

const failed = (app: string, why: string) =>
  new OrchestryError('ORC_DRIVER_START_FAILED', `A replica of ${app} cannot be started: ${why}. Nothing was started.`)
