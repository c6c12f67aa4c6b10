/** A real Redis for one test, and what its MONITOR sees: every command that arrived, as it was understood. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { TestContext } from 'node:test'
import { freePort } from './proxy.ts'
import { hasTool } from './real-tool.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

export const redisSkip = hasTool('redis-server', 'redis-server') ? false : 'redis-server cannot be installed here'

export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Sends one line as a person would type it; resolves with the bytes of the answer. */
  tell(line: string): Promise<string>
  /** Begins to write down what arrives, except what `tell` sends. */
  monitor(): Promise<{ readonly seen: string[]; readonly settled: () => Promise<readonly string[]> }>
  stop(): Promise<void>
}

export async function startRedis(
  t: TestContext,
  args: readonly string[] = [],
  givenPort?: number,
): Promise<RedisServer> {
  const [port, dir] = [givenPort ?? (await freePort()), await tempDir(t)]
  const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir]
  const server = spawn('redis-server', ['--port', String(port), ...settings, ...args], { stdio: 'ignore' })
  const exited = once(server, 'exit')
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) server.kill('SIGKILL')
    await exited
  }
  t.after(stop)
  const tell = (line: string) => converse(port, line)
  await waitFor(async () => /^(\+PONG|-NOAUTH)/.test(await tell('PING')), { what: 'Redis to answer' })

  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    tell,
    stop,
    async monitor() {
      const socket = connect({ host: '127.0.0.1', port })
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
      })
      socket.on('error', () => {})
      t.after(() => socket.destroy())
      socket.write('MONITOR\r\n')
      await waitFor(() => text.startsWith('+OK'), { what: 'MONITOR to begin' })
      const seen: string[] = []
      const read = () => {
        const lines = text.split('\r\n').slice(1, -1)
        // `+1700000000.1 [0 127.0.0.1:5] "GET" "queue:1"`
        seen.splice(0, seen.length, ...lines.map((line) => line.replace(/^\+\S+ \[[^\]]*\] /, '')))
        return seen
      }
      let marks = 0
      return {
        seen,
        async settled() {
          marks += 1
          const mark = `mark ${marks}`
          await tell(`ECHO "${mark}"`)
          await waitFor(() => read().some((line) => line === `"ECHO" "${mark}"`), { what: 'MONITOR to see the mark' })
          return read().filter((line) => !line.startsWith('"ECHO" "mark '))
        },
      }
    },
  }
}

async function converse(port: number, line: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    socket.write(`${line}\r\n`)
    const [chunk] = (await Promise.race([once(socket, 'data'), once(socket, 'close')])) as [Buffer | boolean]
    return Buffer.isBuffer(chunk) ? chunk.toString('latin1') : ''
  } finally {
    socket.destroy()
  }
}
