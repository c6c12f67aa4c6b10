/** Lets a plugin connect to the Unix sockets that its record names, by exact path. Linux only. */
import type { Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { isWithin } from './absolute-path.ts'
import type { Capability } from './capability.ts'
import { connectedSocket } from './connection.ts'
import { realPathOf } from './real-path.ts'
import { createStreamUse } from './stream.ts'
import { pathRefusal } from './unix-path.ts'
import { holdSocket } from './unix-walk.ts'

export function createUnixCapability(deps: {
  clock: Clock
  /** Paths of this Orchestry itself: no socket in them is ever connected to, under whatever name. */
  reserved: readonly string[]
}): Capability<'unix'> {
  const { clock, reserved } = deps
  const refusalOf = (path: string) => {
    const isReserved = reserved.some((own) => isWithin(path, own) || isWithin(path, realPathOf(own)))
    return pathRefusal(path) ?? (isReserved ? "is Orchestry's own" : undefined)
  }
  return {
    kind: 'unix',
    check({ paths }) {
      if (process.platform !== 'linux') return ['paths: Unix sockets can be granted on Linux only']
      return paths.flatMap((path) => {
        const real = realPathOf(path)
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
        clock,
        caller,
        aim(path) {
          const refusal = granted.has(path) ? refusalOf(path) : `is not granted (${grant.paths.join(', ')})`
          if (refusal !== undefined || process.platform !== 'linux')
            throw new OrchestryError(
              'ORC_CAPABILITY_DENIED',
              `ctx.unix: ${JSON.stringify(path).slice(0, 120)} ${refusal ?? 'can be reached on Linux only'}`,
            )
          return { shown: path, connect: (signal) => connected(path, reserved, signal) }
        },
      })
    },
  }
}

async function connected(path: string, reserved: readonly string[], signal: AbortSignal): Promise<Socket> {
  const held = await holdSocket(path, reserved)
  try {
    return await connectedSocket({ path: held.path }, signal)
  } finally {
    await held.release()
  }
}
