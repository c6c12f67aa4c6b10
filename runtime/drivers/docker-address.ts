/** Where a Docker engine listens, as `DOCKER_HOST` says it, and what it means in words when nobody answers there. Pure. */
import { join } from 'node:path'

export const defaultDockerHost = 'unix:///var/run/docker.sock'

export type DockerAddress =
  | { readonly kind: 'unix'; readonly text: string; readonly socketPath: string }
  | {
      readonly kind: 'tcp'
      readonly text: string
      readonly host: string
      readonly port: number
      readonly protocol: 'http' | 'https'
    }

/** Undefined for what is neither a socket nor an address (`ssh://` needs a tunnel that somebody else makes). */
export function parseDockerHost(text: string, options: { isTls?: boolean } = {}): DockerAddress | undefined {
  if (text.startsWith('unix://') || text.startsWith('/')) {
    const socketPath = text.replace(/^unix:\/\//, '')
    return socketPath.startsWith('/') ? { kind: 'unix', text: `unix://${socketPath}`, socketPath } : undefined
  }
  const [, scheme, rest] = /^(tcp|http|https):\/\/([^/?#@]+)\/?$/.exec(text) ?? []
  const url = rest === undefined ? null : URL.parse(`http://${rest}`)
  if (!url?.hostname) return undefined
  const isTls = scheme === 'https' || options.isTls === true
  const port = Number(/:(\d+)$/.exec(rest ?? '')?.[1] ?? (isTls ? 2376 : 2375))
  return { kind: 'tcp', text, host: url.hostname, port, protocol: isTls ? 'https' : 'http' }
}

/** What a TLS engine is spoken to with, as the `docker` command keeps it. */
export function certificatePaths(dir: string): { readonly ca: string; readonly cert: string; readonly key: string } {
  return { ca: join(dir, 'ca.pem'), cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') }
}

const goesOn = 'What runs there goes on and nothing was forgotten; it is tried again.'

/** @param code of the system's error, such as ENOENT */
export function unreachableWords(address: string, code: string | undefined, message: string): string {
  switch (code) {
    case 'ENOENT':
      return `There is no Docker engine at ${address}: is it installed, is it running? ORCHESTRY_DOCKER_HOST says where it listens if elsewhere. ${goesOn}`
    case 'ECONNREFUSED':
      return `No Docker engine answers at ${address}: is it running (systemctl status docker)? ${goesOn}`
    case 'EACCES':
    case 'EPERM':
      return `This user may not use the Docker engine at ${address}: add the user to the group that owns the socket (usually docker) and begin a new login. ${goesOn}`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The host of the Docker engine at ${address} is not known: is ORCHESTRY_DOCKER_HOST right? ${goesOn}`
    default:
      return `The Docker engine at ${address} cannot be spoken to: ${message}. ${goesOn}`
  }
}

export function silentWords(address: string, what: string, afterMs: number): string {
  return `The Docker engine at ${address} did not answer "${what}" within ${afterMs / 1000} s: it hangs or is overloaded. ${goesOn}`
}
