/** Lets a plugin connect to the Unix sockets that its record names, by exact path. Linux only. */
import { realpathSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import type { Capability } from './capability.ts'
import { createStreamUse } from './stream.ts'
import { isWithin, pathRefusal } from './unix-path.ts'
import { holdSocket } from './unix-walk.ts'

export function createUnixCapability(deps: {
  clock: Clock
  /** Folders of our own, and sockets of the container runtime in use: never granted, under whatever name. */
  forbidden: () => readonly string[]
}): Capability<'unix'> {
  const refusalOf = (path: string) => {
    const isForbidden = deps.forbidden().some((own) => isWithin(path, own) || isWithin(path, realPathOf(own) ?? own))
    return pathRefusal(path) ?? (isForbidden ? "is Orchestry's own or its container runtime's" : undefined)
  }
  return {
    kind: 'unix',
    check({ paths }) {
      if (process.platform !== 'linux') return ['paths: Unix sockets can be granted on Linux only']
      return paths.flatMap((path) => {
        const real = realPathOf(path) ?? path
        const refusal = refusalOf(path) ?? refusalOf(real)
        if (refusal !== undefined) return [`paths: ${JSON.stringify(path)} ${refusal}`]
        return real === path ? [] : [`paths: "${path}" is or lies behind a link; grant ${real}`]
      })
    },
    narrow(grant, shown) {
      const used = new Set(shown)
      const paths = grant.paths.filter((path) => used.has(`CONNECT ${path}`))
      return paths.length === 0 ? undefined : { ...grant, paths }
    },
    use(grant, caller) {
      const granted = new Set(grant.paths)
      return createStreamUse({
        kind: 'unix',
        maxReadKb: grant.maxReadKb,
        clock: deps.clock,
        caller,
        aim(path) {
          const refusal = granted.has(path) ? refusalOf(path) : `is not granted (${grant.paths.join(', ')})`
          if (refusal !== undefined || process.platform !== 'linux')
            throw new OrchestryError(
              'ORC_CAPABILITY_DENIED',
              `ctx.unix: ${JSON.stringify(path).slice(0, 120)} ${refusal ?? 'can be reached on Linux only'}`,
            )
          return { shown: path, connect: (signal) => connected(path, deps.forbidden(), signal) }
        },
      })
    },
  }
}

async function connected(path: string, forbidden: readonly string[], signal: AbortSignal): Promise<Socket> {
  const held = await holdSocket(path, forbidden)
  try {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Socket>()
    const socket = connect({ path: held.path, signal })
    socket.once('connect', () => resolve(socket))
    socket.on('error', reject)
    return await promise
  } finally {
    await held.release()
  }
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
