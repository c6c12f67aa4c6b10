/** What must hold between the fields of a container: where volumes may be mounted, and that there is a container at all. Pure. */
import { posix } from 'node:path'
import type { Finding } from './explain.ts'

/** The document as the rules see it, see `rules.ts`. */
export interface ContainerFacts {
  has(pointer: string): boolean
  text(pointer: string): string | undefined
  items(pointer: string): Record<string, unknown>[]
}

/** What the kernel shows in a container is no place for data, nor are the sockets that engines listen on. */
const kernelPaths = ['/proc', '/sys', '/dev']
const engineSocket = /\/(docker|containerd|podman|crio)\.sock$/
const mostUserId = 2 ** 31 - 1

/** @param isProcess the app runs on the machine itself */
export function checkContainer(facts: ContainerFacts, isProcess: boolean): Finding[] {
  return isProcess ? onlyForContainers(facts) : [...volumes(facts), ...user(facts)]
}

function onlyForContainers({ has }: ContainerFacts): Finding[] {
  const reasons = {
    '/spec/volumes':
      'volumes are mounted into containers; a process of the machine finds its files where it finds them without: leave the field out, or run an `image`',
    '/spec/security':
      'this is for containers; a process runs as the user that Orchestry runs as: leave the field out, or run an `image`',
    '/spec/resources/pids': 'this is for containers; the processes of a process app are not counted: leave it out',
  }
  return Object.entries(reasons).flatMap(([pointer, message]) =>
    has(pointer) ? [{ pointer, message, isKey: true }] : [],
  )
}

function volumes({ items, text }: ContainerFacts): Finding[] {
  const findings: Finding[] = []
  const first = new Map<string, number>()
  for (const index of items('/spec/volumes').keys()) {
    const pointer = `/spec/volumes/${index}/mountPath`
    const path = text(pointer)
    if (path === undefined) continue
    const message = whyNotThere(path) ?? alsoThere(first.get(path))
    if (message !== undefined) findings.push({ pointer, message })
    else first.set(path, index)
  }
  return findings
}

const alsoThere = (index: number | undefined) =>
  index === undefined ? undefined : `expected a path of its own; /spec/volumes/${index} is mounted there`

function whyNotThere(path: string): string | undefined {
  const normal = posix.normalize(path).replace(/(?<=.)\/$/, '')
  const found = `found ${JSON.stringify(path)}`
  if (normal === '/') return `expected a path below \`/\`: the root is what the image brings, ${found}`
  if (normal !== path)
    return `expected a path without \`//\`, \`.\`, \`..\` and a slash at its end; did you mean \`${normal}\`?`
  const kernel = kernelPaths.find((root) => path === root || path.startsWith(`${root}/`))
  if (kernel !== undefined) return `expected a path outside \`${kernel}\`, which the kernel fills, ${found}`
  if (engineSocket.test(path))
    return `a replica never gets the socket of the engine, which would make it root on the machine, ${found}`
  return undefined
}

function user({ text }: ContainerFacts): Finding[] {
  const pointer = '/spec/security/runAsUser'
  const ids = text(pointer)?.split(':').map(Number) ?? []
  return ids.some((id) => id > mostUserId)
    ? [{ pointer, message: `expected user and group ids up to ${mostUserId}, found ${JSON.stringify(text(pointer))}` }]
    : []
}
