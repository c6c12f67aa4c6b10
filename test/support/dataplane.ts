/** The embedded proxy as it really runs: a process of its own, ended with the test. */
import type { TestContext } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import { createDataplane } from '../../runtime/dataplane/client.ts'
import type { Dataplane } from '../../runtime/dataplane/dataplane.ts'
import { createLink } from '../../runtime/dataplane/link.ts'
import { controlSocketPath } from '../../runtime/dataplane/socket-path.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createLog } from '../../runtime/log.ts'
import { tempDir } from './temp-dir.ts'

export interface TestDataplane {
  readonly dataplane: Dataplane
  readonly dataDir: string
  readonly events: NewEvent[]
  url(): string
  /** Of the process that answers now. */
  pid(): Promise<number>
}

export async function makeDataplane(
  test: Pick<TestContext, 'after'>,
  options: { dataDir?: string; host?: string; port?: number } = {},
): Promise<TestDataplane> {
  const dataDir = options.dataDir ?? (await tempDir(test))
  const events: NewEvent[] = []
  const dataplane = createDataplane({
    dataDir,
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    clock: systemClock,
    log: createLog({ level: 'silent' }),
    events: { emit: (event) => void events.push(event) },
  })
  test.after(() => dataplane.stop({ keep: false }))
  return {
    dataplane,
    dataDir,
    events,
    url: () => `http://${dataplane.address()?.host}:${dataplane.address()?.port}`,
    pid: () => pidOf(dataDir),
  }
}

/** Of the proxy process that serves the data directory. */
export async function pidOf(dataDir: string): Promise<number> {
  const link = createLink(await controlSocketPath(dataDir))
  try {
    return (await link.ping()).pid
  } finally {
    link.close()
  }
}
