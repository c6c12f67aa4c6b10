/** What of the engine decides how a container is made; asked for now and then, because an engine can be set up anew. */
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { DockerAddress } from './docker-address.ts'
import type { DockerApi } from './docker-api.ts'
import { type DockerReach, publishAddress } from './docker-reach.ts'

const trustedMs = 60_000

export interface Surroundings {
  readonly publishOn?: string
  readonly logDriver: string
  /** Such as linux/amd64. */
  readonly platform: string
}

export function createSurroundings(deps: {
  api: DockerApi
  reach: DockerReach
  address: DockerAddress | undefined
  clock: Pick<Clock, 'monotonic'>
  log: Pick<Log, 'info'>
}): () => Promise<Surroundings> {
  const { api, reach, address, clock, log } = deps
  let known: { readonly untilMs: number; readonly answer: Promise<Surroundings> } | undefined
  let toldOf: string | undefined

  async function ask(): Promise<Surroundings> {
    const info = await api.info()
    const publishOn = await publishAddress(reach, address, info)
    const logDriver = info.LoggingDriver ?? 'json-file'
    // Podman tells none.
    if (!['json-file', 'local', ''].includes(logDriver) && toldOf !== logDriver) {
      toldOf = logDriver
      log.info({ logDriver }, 'the engine keeps the output of containers elsewhere: how much of it is set there')
    }
    const platform = `${info.OSType ?? '?'}/${info.Architecture ?? '?'}`
    return { logDriver, platform, ...(publishOn !== undefined && { publishOn }) }
  }

  return () => {
    const nowMs = clock.monotonic()
    if (known && nowMs < known.untilMs) return known.answer
    const mine = { untilMs: nowMs + trustedMs, answer: ask() }
    known = mine
    return mine.answer.catch((error: unknown) => {
      if (known === mine) known = undefined
      throw error
    })
  }
}
