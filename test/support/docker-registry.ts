/** A real registry of images on the loopback address, which engines use without TLS. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DockerEngine } from './docker-engine.ts'
import { freePort } from './proxy.ts'
import { hasTool } from './real-tool.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

export const registrySkip = hasTool('docker-registry', 'docker-registry')
  ? false
  : 'docker-registry cannot be installed here'

/** What a registry that asks for credentials takes. */
export const credentials = { username: 'ci', password: 'hush' }
/** Of them, as htpasswd writes it. */
const passwordLine = 'ci:$2y$04$5jtzja9Sp.xOPStCXijwo.fe11YjzMnRm61OEK.CIMevcFG0O1d6O\n'

export interface Registry {
  /** host:port, as the name of an image begins. */
  readonly host: string
  /** Requests so far, such as `GET /v2/shop/manifests/1`. */
  requests(): Promise<string[]>
  /** Copies an image of the engine there under this name, with or without a tag; resolves with its digest there. */
  push(engine: DockerEngine, image: string, name: string): Promise<string>
  stop(): Promise<void>
}

export async function startRegistry(
  test: { after(run: () => Promise<void>): unknown },
  options: { isClosed?: boolean } = {},
): Promise<Registry> {
  const dir = await tempDir()
  const host = `127.0.0.1:${await freePort()}`
  const [config, passwords] = ['config.yml', 'htpasswd'].map((name) => join(dir, name)) as [string, string]
  await writeFile(passwords, passwordLine)
  const auth = options.isClosed ? { auth: { htpasswd: { realm: 'test', path: passwords } } } : {}
  const settings = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: join(dir, 'data') } },
    http: { addr: host },
    ...auth,
  }
  await writeFile(config, JSON.stringify(settings))
  const child: ChildProcess = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(child, 'exit')
  let seen = ''
  child.stdout?.on('data', (chunk) => {
    seen += String(chunk)
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  test.after(stop)
  const isUp = async () => [200, 401].includes((await fetch(`http://${host}/v2/`)).status)
  await waitFor(isUp, { timeoutMs: 20_000, what: 'the registry to answer' })

  return {
    host,
    stop,
    requests: async () => [...seen.matchAll(/"((?:GET|HEAD) \/v2\/\S+) HTTP/g)].map(([, request = '']) => request),
    async push({ docker }, image, name) {
      const repo = `${host}/${name.replace(/:[^:/]*$/, '')}`
      const tag = /:([^:/]*)$/.exec(name)?.[1] ?? 'latest'
      await docker.getImage(image).tag({ repo, tag })
      const target = docker.getImage(`${repo}:${tag}`)
      const progress = await target.push({ tag, authconfig: { ...credentials, serveraddress: host } })
      const digest = await new Promise<string>((resolve, reject) => {
        docker.modem.followProgress(progress, (error, steps) => {
          const failed = steps?.find((step) => 'error' in step)
          const found = steps?.map((step) => step.aux?.Digest).find((one) => one !== undefined)
          if (error ?? failed) reject(error ?? new Error(String(failed?.error)))
          else resolve(String(found))
        })
      })
      await target.remove()
      return digest
    },
  }
}
