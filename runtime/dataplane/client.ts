/** The controller's side of the embedded proxy: one process, kept alive, always told what it should know. */
import { mkdir, realpath } from 'node:fs/promises'
import type { Upstream } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { Log } from '../log.ts'
import { buildVersion } from './build.ts'
import type { Dataplane } from './dataplane.ts'
import { loss } from './loss.ts'
import {
  findProcess,
  killProcess,
  killSilentProcess,
  type ProcessOptions,
  type RunningProcess,
  startProcess,
  waitForEnd,
} from './process.ts'
import { controlSocketPath } from './socket-path.ts'

export interface DataplaneDeps {
  readonly dataDir: string
  readonly host: string
  /** 0 takes any free port, and keeps it across restarts of the proxy process. */
  readonly port: number
  readonly clock: Clock
  readonly log: Log
  readonly events: Pick<Events, 'emit'>
}

const drainMs = 5_000
const killAfterMs = 1_000
const firstBackoffMs = 100
const longestBackoffMs = 5_000
const steadyAfterMs = 2_000

export function createDataplane(deps: DataplaneDeps): Dataplane {
  const { clock, host, log } = deps
  const remembered = new Map<string, Upstream>()
  const listeners = new Set<() => void>()
  let options: ProcessOptions | undefined
  let running: RunningProcess | undefined
  let listening: { host: string; port: number } | undefined
  let problem: string | undefined = 'it has not been started'
  let stopping: AbortController | undefined
  let supervision: Promise<void> = Promise.resolve()

  const link = () => {
    if (running) return running.link
    throw new OrchestryError(
      'ORC_DATAPLANE_UNAVAILABLE',
      `The embedded proxy is not running: ${problem}. What it should know is kept and told to it when it is back.`,
    )
  }

  /** Tells a process everything and lets it take traffic; ends it when it cannot have the address. */
  const bringUp = async (found: RunningProcess): Promise<void> => {
    for (const upstream of remembered.values()) await found.link.put(upstream)
    const wanted = listening?.port ?? deps.port
    const taken = await found.link.listen(host, wanted)
    if ('port' in taken) {
      listening = { host, port: taken.port }
      return
    }
    await found.link.shutdown(0)
    throw taken.code === 'EADDRINUSE'
      ? new OrchestryError(
          'ORC_CONFIG_PORT_IN_USE',
          `Port ${wanted} on ${host}, where apps' traffic should come in, is in use by another program. ` +
            'Choose another one with --proxy-port (or ORCHESTRY_PROXY_PORT). Nothing was changed.',
        )
      : new OrchestryError(
          'ORC_CONFIG_INVALID',
          `The embedded proxy cannot listen on ${host} port ${wanted} (${taken.detail}). ` +
            'Choose an address of this machine with --proxy-host and a port with --proxy-port. Nothing was changed.',
        )
  }

  const startNew = async (settings: ProcessOptions): Promise<RunningProcess> => {
    const found = await startProcess(settings)
    try {
      await bringUp(found)
      return found
    } catch (error) {
      found.link.close()
      await killProcess(found.pid, settings)
      throw error
    }
  }

  /** The process of this data directory, when code and address fit; one that does not fit gives way. */
  const adopt = async (settings: ProcessOptions): Promise<RunningProcess | undefined> => {
    const found = await findProcess(settings)
    if (!found) {
      await killSilentProcess(settings)
      return undefined
    }
    const { pong } = found
    const fits =
      pong.build === settings.build &&
      !pong.isDraining &&
      (pong.listening === undefined ||
        (pong.listening.host === host && (deps.port === 0 || pong.listening.port === deps.port)))
    if (fits) {
      if (pong.listening) listening = pong.listening
      try {
        await bringUp(found)
      } catch (error) {
        found.link.close()
        throw error
      }
      log.info({ pid: found.pid, apps: Object.keys(pong.generations).length }, 'adopted the running proxy')
      return found
    }
    log.info({ pid: found.pid }, 'replacing a proxy of another build or address; it finishes what it has')
    await found.link.shutdown(drainMs)
    found.link.close()
    return undefined
  }

  const supervise = async (settings: ProcessOptions, first: RunningProcess, signal: AbortSignal): Promise<void> => {
    let current = first
    let backoffMs = 0
    for (;;) {
      const sinceMs = clock.monotonic()
      const reason = await loss(current.link, clock, signal)
      if (reason === undefined) return
      running = undefined
      problem = reason
      current.link.close()
      log.warn({ pid: current.pid, reason }, 'the proxy process is lost; starting another')
      await killProcess(current.pid, settings)
      if (clock.monotonic() - sinceMs > steadyAfterMs) backoffMs = 0
      const next = await respawn(settings, signal, backoffMs)
      if (!next) return
      // The first time at once; one that keeps dying is given more and more time.
      backoffMs = Math.min(longestBackoffMs, Math.max(firstBackoffMs, backoffMs * 2))
      current = next
      running = next
      problem = undefined
      deps.events.emit({ type: 'dataplane.restarted', data: { reason, pid: next.pid, apps: remembered.size } })
      for (const listener of listeners) listener()
    }
  }

  const respawn = async (
    settings: ProcessOptions,
    signal: AbortSignal,
    firstDelayMs: number,
  ): Promise<RunningProcess | undefined> => {
    let delayMs = firstDelayMs
    while (!signal.aborted) {
      if (delayMs > 0) await clock.sleep(delayMs, signal)
      if (signal.aborted) break
      try {
        return await startNew(settings)
      } catch (error) {
        problem = messageOf(error)
        log.error({ error: problem }, 'the proxy process could not be started again')
        delayMs = Math.min(longestBackoffMs, Math.max(firstBackoffMs, delayMs * 2))
      }
    }
    return undefined
  }

  return {
    async apply(upstream) {
      const known = remembered.get(upstream.app)
      if (known === undefined || upstream.generation >= known.generation) remembered.set(upstream.app, upstream)
      await link().put(upstream)
    },
    async remove(app) {
      remembered.delete(app)
      await link().remove(app)
    },
    async status(app) {
      const found = await link().status(app)
      if (found === null || listening === undefined) return found
      return { ...found, url: `http://${listening.host}:${listening.port}` }
    },
    traffic: async () => link().traffic(),
    signals: async () => link().signals(),
    async start() {
      if (stopping) return
      const controller = new AbortController()
      stopping = controller
      try {
        await mkdir(deps.dataDir, { recursive: true, mode: 0o700 })
        const dataDir = await realpath(deps.dataDir)
        options = { dataDir, socketPath: await controlSocketPath(dataDir), build: await buildVersion(), clock }
        const first = (await adopt(options)) ?? (await startNew(options))
        running = first
        problem = undefined
        supervision = supervise(options, first, controller.signal)
      } catch (error) {
        stopping = undefined
        problem = messageOf(error)
        throw error
      }
    },
    async stop({ keep }) {
      if (!stopping) return
      stopping.abort()
      stopping = undefined
      await supervision
      const last = running
      running = undefined
      problem = 'it has been stopped'
      listening = undefined
      if (!last || !options) return
      if (!keep) {
        await last.link.shutdown(drainMs).catch(() => {})
        if (!(await waitForEnd(last.pid, options, drainMs + killAfterMs))) await killProcess(last.pid, options)
      }
      last.link.close()
    },
    address: () => listening,
    problem: () => problem,
    onRestarted(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
