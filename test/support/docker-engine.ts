/**
 * A Docker engine of the tests' own: its data, its socket, its processes in one temporary directory. It touches neither the
 * machine's firewall nor its default bridge, so several of them and a person's own engine do not disturb each other.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createReadStream, existsSync } from 'node:fs'
import { copyFile, mkdir, open, readFile, realpath, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { hasTool } from './real-tool.ts'
import { removeDir, tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

const run = promisify(execFile)
const replicaServer = fileURLToPath(new URL('./replica-server.js', import.meta.url))

/** Why tests with a real engine cannot run here, or false. */
export const dockerSkip = whyNoEngine()

export interface DockerEngine {
  readonly socketPath: string
  /** What `DOCKER_HOST` would be. */
  readonly host: string
  readonly docker: Docker
  /** SIGTERM, or another signal, to the daemon alone, and wait for its end. What containers do then depends on `liveRestore`. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Again, on the same data and socket. */
  start(): Promise<void>
  /** SIGSTOP and SIGCONT: an engine that hangs. */
  freeze(): void
  thaw(): void
  readonly output: () => Promise<string>
  /** Where its images and containers lie. */
  readonly dataRoot: string
  dispose(): Promise<void>
}

/**
 * @param options.liveRestore containers go on while the daemon is away
 * @param options.diskMb its data gets a disk of its own, which can be filled
 * @param options.args further flags of dockerd
 */
export async function startDockerEngine(
  test: { after(run: () => Promise<void>): unknown },
  options: { liveRestore?: boolean; diskMb?: number; args?: readonly string[] } = {},
): Promise<DockerEngine> {
  const dir = await tempDir()
  const socketPath = join(dir, 'docker.sock')
  const logPath = join(dir, 'dockerd.log')
  const dataRoot = join(dir, 'data')
  const docker = new Docker({ socketPath })
  const isolation = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false']
  // Engines that look for a free range at the same moment find the same one.
  const range = `base=10.${100 + Math.floor(Math.random() * 150)}.0.0/16,size=24`
  const args = [
    ...['--default-address-pool', range],
    ...['--data-root', dataRoot, '--exec-root', join(dir, 'exec')],
    ...['-H', `unix://${socketPath}`, '-p', join(dir, 'dockerd.pid'), ...isolation],
    ...['--containerd', containerdSocket(dir)],
    ...(options.liveRestore ? ['--live-restore'] : []),
    ...(options.args ?? []),
  ]
  if (options.diskMb !== undefined) await mountDisk(dataRoot, options.diskMb)
  let daemon: ChildProcess | undefined
  let ended = Promise.resolve()
  // As on a real machine containerd is a process of its own, so that the daemon alone can be killed.
  const containerd = await startContainerd(dir)

  async function start(): Promise<void> {
    await using log = await open(logPath, 'a')
    const child = spawn('dockerd', args, { stdio: ['ignore', log.fd, log.fd] })
    daemon = child
    let isOver = false
    ended = new Promise((resolve) => {
      child.once('exit', () => {
        isOver = true
        resolve()
      })
    })
    const isUp = async () => {
      if (isOver) throw new Error(`dockerd ended: ${(await readFile(logPath, 'utf8')).slice(-2_000)}`)
      return docker.ping().then(
        () => true,
        () => false,
      )
    }
    await waitFor(isUp, { timeoutMs: 60_000, what: 'dockerd to answer' })
  }
  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    daemon?.kill(signal)
    await ended
    daemon = undefined
  }
  async function dispose(): Promise<void> {
    if (daemon === undefined) await start()
    daemon?.kill('SIGCONT')
    const containers = await docker.listContainers({ all: true })
    await Promise.all(containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })))
    const networks = (await docker.listNetworks()).filter(({ Driver }) => Driver === 'bridge')
    await Promise.all(networks.map(({ Id }) => docker.getNetwork(Id).remove()))
    await stop()
    await containerd.stop()
    await unmountBelow(dir)
    await removeDir(dir)
  }

  test.after(dispose)
  await start()
  return {
    socketPath,
    host: `unix://${socketPath}`,
    docker,
    stop,
    start,
    freeze: () => daemon?.kill('SIGSTOP'),
    thaw: () => daemon?.kill('SIGCONT'),
    dataRoot,
    output: () => readFile(logPath, 'utf8'),
    dispose,
  }
}

const containerdSocket = (dir: string) => join(dir, 'containerd.sock')

async function startContainerd(dir: string): Promise<{ stop(): Promise<void> }> {
  const config = join(dir, 'containerd.toml')
  const root = `root = ${JSON.stringify(join(dir, 'containerd'))}\nstate = ${JSON.stringify(join(dir, 'containerd-state'))}`
  const grpc = `[grpc]\naddress = ${JSON.stringify(containerdSocket(dir))}`
  await writeFile(config, `version = 2\n${root}\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n${grpc}\n`)
  await using log = await open(join(dir, 'containerd.log'), 'a')
  const child = spawn('containerd', ['--config', config], { stdio: ['ignore', log.fd, log.fd] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await waitFor(() => existsSync(containerdSocket(dir)), { timeoutMs: 20_000, what: 'containerd to listen' })
  return {
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** A small file system in memory at this path, until it is unmounted. */
export async function mountDisk(path: string, megabytes: number): Promise<void> {
  await mkdir(path, { recursive: true })
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path])
}

/** A daemon that was killed did not take its mounts with it. */
async function unmountBelow(dir: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '')
  const paths = mounts.map((path) => path.replaceAll('\\040', ' ')).filter((path) => path.startsWith(`${dir}/`))
  for (const path of paths.reverse()) await run('umount', ['--lazy', path])
}

/** An image of the files given by their path inside it; `changes` are lines of a Dockerfile. Resolves with the image's id. */
export async function importImage(
  { docker }: DockerEngine,
  name: string,
  files: Readonly<Record<string, string>>,
  changes: readonly string[] = [],
): Promise<string> {
  const dir = await tempDir()
  try {
    for (const [path, source] of Object.entries(files)) {
      const target = join(dir, 'root', path)
      await mkdir(dirname(target), { recursive: true })
      await copyFile(source, target)
    }
    await mkdir(join(dir, 'root', 'tmp'), { recursive: true })
    const tar = join(dir, 'image.tar')
    await run('tar', ['-C', join(dir, 'root'), '-cf', tar, '.'])
    const [repo = name, tag = 'latest'] = name.split(':')
    const answer = await docker.importImage(createReadStream(tar), { repo, tag, changes: [...changes] })
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(answer, (error) => (error ? reject(error) : resolve()))
    })
    return (await docker.getImage(name).inspect()).Id
  } finally {
    await removeDir(dir)
  }
}

/** An image that a Dockerfile makes of one that is there. */
export async function buildImage({ docker }: DockerEngine, name: string, dockerfile: string): Promise<void> {
  const dir = await tempDir()
  try {
    await writeFile(join(dir, 'Dockerfile'), dockerfile)
    await run('tar', ['-C', dir, '-cf', join(dir, 'context.tar'), 'Dockerfile'])
    const answer = await docker.buildImage(createReadStream(join(dir, 'context.tar')), { t: name })
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(answer, (error) => (error ? reject(error) : resolve()))
    })
  } finally {
    await removeDir(dir)
  }
}

/** An image that holds busybox, as its only program. */
export async function importBusybox(engine: DockerEngine, name = 'test/busybox', changes: readonly string[] = []) {
  return importImage(engine, name, { '/bin/busybox': '/bin/busybox' }, ['ENV PATH=/bin', ...changes])
}

/**
 * An image of `replica-server.js` with the Node that runs the tests. It listens on port 8080 of every address.
 *
 * @param env of the image, such as STATUS=500 for one that never becomes healthy
 */
export async function importReplica(
  engine: DockerEngine,
  name = 'test/replica:1',
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const node = await realpath(process.execPath)
  const { stdout } = await run('ldd', [node])
  const libraries = [...stdout.matchAll(/(\/\S+)\s+\(0x/g)].map(([, path = '']) => path)
  const files = Object.fromEntries([
    ['/bin/node', node],
    ['/app/server.js', replicaServer],
    ...(await Promise.all(libraries.map(async (path) => [path, await realpath(path)]))),
  ])
  const variables = { PATH: '/bin', PORT: '8080', HOST: '0.0.0.0', ...env }
  return importImage(engine, name, files, [
    ...Object.entries(variables).map(([key, value]) => `ENV ${key}=${value}`),
    'EXPOSE 8080',
    'WORKDIR /app',
    'CMD ["/bin/node", "/app/server.js"]',
  ])
}

function whyNoEngine(): string | false {
  if (process.getuid?.() !== 0) return 'a Docker engine can only be started by root'
  if (!hasTool('dockerd', 'docker.io')) return 'dockerd cannot be installed here'
  return hasTool(basename('/bin/busybox'), 'busybox-static') ? false : 'busybox cannot be installed here'
}
