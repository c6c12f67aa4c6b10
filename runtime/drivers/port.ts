/** Finds free TCP ports for replicas. */
import { createServer } from 'node:net'

export interface Ports {
  /** A port that nobody listens on now and that no other caller got. Stays reserved until released. */
  reserve(): Promise<number>
  /** For replicas that were found running. */
  claim(port: number): void
  release(port: number): void
}

/** Asks the system, which knows best: binds port 0, takes the number and lets go. */
export function createPorts(host: string): Ports {
  const reserved = new Set<number>()
  const probe = () =>
    new Promise<number>((resolve, reject) => {
      const server = createServer()
      server.unref()
      server.once('error', reject)
      server.listen({ host, port: 0, exclusive: true }, () => {
        const address = server.address()
        const port = typeof address === 'object' && address ? address.port : 0
        server.close(() => resolve(port))
      })
    })
  return {
    reserve: async () => {
      for (let attempt = 0; attempt < 100; attempt++) {
        const port = await probe()
        if (reserved.has(port)) continue
        reserved.add(port)
        return port
      }
      throw new Error(`no free port was found on ${host}`)
    },
    claim: (port) => {
      reserved.add(port)
    },
    release: (port) => {
      reserved.delete(port)
    },
  }
}
