/** Why a container could not be started, in words. Pure. */
import type { ErrorCode } from '../errors.ts'
import type { StartRequest } from './driver.ts'

export interface StartFailure {
  readonly code: ErrorCode
  readonly detail: string
}

const reasons: readonly { readonly pattern: RegExp; readonly why: string; readonly isTheirs?: true }[] = [
  { pattern: /no space left on device/i, why: 'the disk of the Docker engine is full', isTheirs: true },
  {
    pattern: /(docker|container)-init.*not found/i,
    why: 'the Docker engine has no init program for containers (Debian packages: tini for Docker, catatonit for Podman)',
    isTheirs: true,
  },
  {
    pattern: /executable file not found|no such file or directory/i,
    why: 'its image has no such program; mend spec.command',
  },
  { pattern: /minimum memory limit/i, why: 'its memory limit is less than the engine accepts; raise resources.memory' },
  { pattern: /range of CPUs is/i, why: 'the machine of the engine has fewer cores than resources.cpu' },
  { pattern: /unable to find (user|group)|no matching entries in passwd/i, why: 'its image has no such user' },
  {
    pattern: /read-only file system/i,
    why: 'its file system may only be read; a volume needs a directory that the image has',
  },
]

export function startFailure(
  request: StartRequest,
  said: string,
  platforms?: { image: string; engine: string },
): StartFailure {
  const isForeign = /exec format error/i.test(said)
  const found = reasons.find(({ pattern }) => pattern.test(said))
  const why = isForeign
    ? `its image was built for ${platforms?.image ?? 'another processor'}, the engine runs on ${platforms?.engine ?? 'another'}`
    : found?.why
  const text = why === undefined ? said : `${why}. The engine said: ${said}`
  return {
    code: found?.isTheirs ? 'ORC_DRIVER_UNAVAILABLE' : 'ORC_DRIVER_START_FAILED',
    detail: `A replica of ${request.app} could not be started from image ${request.image}: ${text.replace(/\.?$/, '.')} Nothing is left of the attempt.`,
  }
}

/** The engine took it for started, and it has ended already. */
export function endedAtOnce(request: StartRequest, code: number, lastLines: readonly string[]): StartFailure {
  const hint = code === 127 ? ', which is what a missing program gives' : ''
  const output = lastLines.length === 0 ? '' : ` It wrote: ${lastLines.join(' | ').slice(-1_000)}`
  return {
    code: 'ORC_DRIVER_START_FAILED',
    detail: `A replica of ${request.app} ended as soon as it was started, with code ${code}${hint}.${output} Nothing is left of the attempt.`,
  }
}
