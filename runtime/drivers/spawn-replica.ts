/** Starts the process of one replica: its environment, its working directory, and what a failure means in words. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { messageOf, OrchestryError } from '../errors.ts'
import type { StartRequest } from './driver.ts'

/** All that a replica gets of our own environment: our settings and secrets stay ours. */
const inherited = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR'] as const

/**
 * `HOST` tells servers that ask for it to listen on loopback only; the app's own `HOST` wins, its `PORT` does not, because traffic
 * goes to the port that was chosen here. The marks find the replica again when its record is lost.
 */
export function replicaEnvironment(
  request: StartRequest,
  place: { ownerId: string; host: string; port: number },
  ours: NodeJS.ProcessEnv,
): Record<string, string> {
  const fields = { 'instance.ip': place.host, 'instance.port': String(place.port) }
  const env: Record<string, string> = {}
  for (const name of inherited) if (ours[name] !== undefined) env[name] = ours[name]
  env.HOST = place.host
  Object.assign(env, request.env)
  for (const [name, field] of Object.entries(request.envFields)) env[name] = fields[field]
  return Object.assign(env, {
    PORT: String(place.port),
    ORCHESTRY_APP: request.app,
    ORCHESTRY_INSTANCE: request.id,
    ORCHESTRY_OWNER: place.ownerId,
    ORCHESTRY_VERSION: request.version,
  })
}

/** Resolves when the program runs in a session and group of its own. Throws ORC_DRIVER_START_FAILED. */
export async function spawnReplica(options: {
  request: StartRequest
  env: Record<string, string>
  stdout: number
  stderr: number
}): Promise<ChildProcess & { readonly pid: number }> {
  const { request, env, stdout, stderr } = options
  const [program = '', ...args] = request.command
  if (program === '')
    throw startFailed(request, 'it has no command; a process needs spec.command, e.g. [node, server.js]')
  const cwd = resolve(request.workingDir ?? '.')
  await checkWorkingDir(request, cwd)
  try {
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', stdout, stderr] })
    if (child.pid !== undefined) return Object.assign(child, { pid: child.pid })
    throw await new Promise((settle) => child.once('error', settle))
  } catch (error) {
    throw startFailed(request, await explain(error as NodeJS.ErrnoException, program, cwd, env.PATH ?? ''), error)
  }
}

async function checkWorkingDir(request: StartRequest, cwd: string): Promise<void> {
  const dir = await stat(cwd).catch(() => undefined)
  if (!dir) throw startFailed(request, `its working directory ${cwd} does not exist; create it or mend spec.workingDir`)
  if (!dir.isDirectory())
    throw startFailed(request, `its working directory ${cwd} is not a directory; mend spec.workingDir`)
  await access(cwd, constants.X_OK).catch((error: unknown) => {
    throw startFailed(request, `this user may not enter its working directory ${cwd}; mend its permissions`, error)
  })
}

async function explain(
  error: NodeJS.ErrnoException,
  program: string,
  cwd: string,
  searchPath: string,
): Promise<string> {
  const file = resolve(cwd, program)
  const isPath = program.includes('/')
  // A directory of PATH that this user may not enter turns "not found" into "not allowed".
  if (!isPath && (error.code === 'ENOENT' || error.code === 'EACCES'))
    return `no directory of PATH (${searchPath}) has it as a program this user may execute; install it or write its whole path`
  switch (error.code) {
    case 'ENOENT':
      return (await stat(file).catch(() => undefined))
        ? `${file} exists, but the interpreter in its first line (#!) does not`
        : `there is no file ${file}; mend spec.command`
    case 'EACCES':
      return `this user may not execute ${file}; make it executable (chmod +x)`
    case 'ENOEXEC':
      return `${isPath ? file : 'it'} is no program this machine can run`
    case 'EAGAIN':
    case 'ENOMEM':
    case 'EMFILE':
    case 'ENFILE':
      return `the machine has no room for another process (${error.code}); raise the limit (ulimit -u, -n) or run fewer`
    case 'E2BIG':
      return 'its arguments and environment together are longer than the system takes'
    default:
      return messageOf(error)
  }
}

export function startFailed(request: StartRequest, why: string, cause?: unknown): OrchestryError {
  const program = request.command[0] ?? ''
  return new OrchestryError(
    'ORC_DRIVER_START_FAILED',
    `A replica of ${request.app} could not be started with ${JSON.stringify(program)}: ${why}. Nothing is left of the attempt.`,
    { cause },
  )
}
