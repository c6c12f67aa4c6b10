/** Reads a reference to an image the way the engine does. Pure. */

export interface ImageName {
  /** Written out where the reference leaves it out: `docker.io`. */
  readonly registry: string
  /** Without tag and digest, as the engine wants it. */
  readonly repository: string
  /** `latest` where the reference names neither tag nor digest. */
  readonly tag?: string
  readonly digest?: string
}

const reference = /^(?<repository>[^@]+?)(?::(?<tag>\w[\w.-]{0,127}))?(?:@(?<digest>sha256:[a-f0-9]{64}))?$/
const component = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/
const host = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?(?::\d{1,5})?$/

/** `sha256:…` alone: an image that is on the engine, and nowhere else to be had. */
export const isImageId = (text: string): boolean => /^sha256:[a-f0-9]{64}$/.test(text)

/** Undefined for what is no reference. */
export function parseImageName(text: string): ImageName | undefined {
  const { repository = '', tag, digest } = reference.exec(text)?.groups ?? {}
  const parts = repository.split('/')
  const [first = ''] = parts
  // As everywhere: the first part is a host only where it looks like one.
  const isHost = parts.length > 1 && (/[.:]/.test(first) || first === 'localhost')
  const path = isHost ? parts.slice(1) : parts
  if ((isHost && !host.test(first)) || !path.every((part) => component.test(part))) return undefined
  return {
    registry: isHost ? first : 'docker.io',
    repository,
    ...(tag === undefined ? digest === undefined && { tag: 'latest' } : { tag }),
    ...(digest !== undefined && { digest }),
  }
}
