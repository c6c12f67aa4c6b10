/**
 * Lets a plugin read and write files beneath the directories of its record. Linux only: what keeps it inside them is the
 * way Linux opens files relative to a directory that is open (see files-walk).
 */
import { type Encoding, instanceDir } from '@orchestry/sdk'
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { codeOf, OrchestryError } from '../errors.ts'
import { argumentsOf, maybe } from './arguments.ts'
import type { Caller, Capability, CapabilityUse, GrantOf } from './capability.ts'
import { narrowFiles } from './files-narrow.ts'
import { createRootKeeper, type RootKeeper } from './files-open-root.ts'
import { createFilesQuota, type Tally } from './files-quota.ts'
import { listFiles, readCursor, readFile, readTail, statFile } from './files-read.ts'
import { rootProblem } from './files-roots.ts'
import { type FilesRule, findFile, findFolder, labelOf, type Place, readFilesRule } from './files-rule.ts'
import type { OpenRoot } from './files-walk.ts'
import { countFiles, removeFile, writeFile } from './files-write.ts'
import type { OwnDirs } from './own-dir.ts'
import { createInFlight } from './slots-in-flight.ts'

const atOnce = 16
const waitingMost = 256
const tailBytes = 64 * 1024

const name = Type.String({ maxLength: 32 })
const encoding = Type.Union([Type.Literal('utf8'), Type.Literal('base64')])
const bytes = (minimum: number) => Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER })
const ReadOptions = Type.Object(
  {
    offset: Type.Optional(bytes(0)),
    maxBytes: Type.Optional(bytes(1)),
    encoding: Type.Optional(encoding),
  },
  { additionalProperties: false },
)
const readRead = argumentsOf('files.read', name, Type.String(), maybe(ReadOptions))
const readWrite = argumentsOf('files.write', name, Type.String(), Type.String(), maybe(encoding))
const readRemove = argumentsOf('files.remove', name, Type.String())
const readList = argumentsOf('files.list', name, maybe(Type.String()))
const readStat = argumentsOf('files.stat', name, Type.String())
const readTailOf = argumentsOf('files.tail', name, Type.String(), maybe(Type.String()), maybe(bytes(1)))

export function createFilesCapability(deps: {
  clock: Clock
  /** Paths of this Orchestry itself: its data directory, its configuration. No root meets them. */
  reserved: readonly string[]
  platform?: NodeJS.Platform
  /** Without it no root is made for an instance. */
  ownDirs?: OwnDirs
}): Capability<'files'> {
  const { clock, reserved, platform = process.platform, ownDirs } = deps
  const unfit = platform === 'linux' ? [] : [`files can be granted on Linux only; this machine runs ${platform}`]
  return {
    kind: 'files',
    check(grant) {
      const problems = [...unfit]
      const rule = readFilesRule(grant, reserved, problems)
      if (ownDirs === undefined && [...rule.roots.values()].some(({ isOwn }) => isOwn))
        problems.push('there is no directory for it to use')
      return problems
    },
    async pin(grant) {
      for (const { name: root, path } of grant.roots) {
        const problem = unfit[0] ?? (path === instanceDir ? undefined : rootProblem(path, reserved))
        if (problem !== undefined) throw new OrchestryError('ORC_CAPABILITY_DENIED', `The root "${root}": ${problem}.`)
      }
      return grant
    },
    narrow: narrowFiles,
    use(grant, caller) {
      if (unfit[0] !== undefined) throw new OrchestryError('ORC_CAPABILITY_DENIED', unfit[0])
      return useFiles(grant, caller, clock, reserved, ownDirs)
    },
    forget: (plugin) => ownDirs?.forget(plugin),
  }
}

function useFiles(
  grant: GrantOf<'files'>,
  caller: Caller,
  clock: Clock,
  reserved: readonly string[],
  ownDirs: OwnDirs | undefined,
): CapabilityUse {
  const ownDir = async () => {
    if (ownDirs !== undefined) return await ownDirs.ensure(caller.plugin, caller.instance)
    throw new OrchestryError('ORC_CAPABILITY_DENIED', 'ctx.files: no directory is made for plugins here')
  }
  const rule = readFilesRule(grant, reserved, [])
  const keepers = new Map([...rule.roots].map(([root, own]) => [root, createRootKeeper(own, reserved, ownDir)]))
  const inFlight = createInFlight(atOnce, waitingMost, 'ctx.files')
  const quota = createFilesQuota(rule, clock, () => countAll(rule, keepers, clock))

  /** Finds the place and works there, and tells what was decided about it. */
  async function at<T>(
    operation: string,
    root: string,
    path: string,
    find: (root: string, path: string) => Place,
    work: (root: OpenRoot, place: Place) => Promise<T>,
  ): Promise<T> {
    // A granted path is told whole, because it may become a grant of its own; a refused one can be any text.
    const tell = (isAllowed: boolean) =>
      caller.onUse?.(operation, `${operation} ${isAllowed ? `${root}:${path}` : labelOf(root, path)}`, isAllowed)
    try {
      const place = find(root, path)
      const done = await inFlight.run(() => keeperOf(keepers, root).withRoot((open) => work(open, place)))
      tell(true)
      return done
    } catch (error) {
      tell(codeOf(error) !== 'ORC_CAPABILITY_DENIED')
      throw error
    }
  }
  const readable = (root: string, path: string) => findFile(rule, ['read'], root, path)
  const writable = (root: string, path: string) => findFile(rule, ['write'], root, path)
  const known = (root: string, path: string) => findFile(rule, ['read', 'write'], root, path)
  const folder = (root: string, path: string) => findFolder(rule, root, path)

  return {
    operations: {
      async read(args) {
        const [root, path, options] = readRead(args)
        const part = { offset: options?.offset ?? 0, maxBytes: options?.maxBytes }
        const read = await at('read', root, path, readable, (open, place) => readFile(open, place, rule, part))
        return read.toString(options?.encoding ?? 'utf8')
      },
      async write(args) {
        const [root, path, text, given] = readWrite(args)
        const data = bytesOf(text, given ?? 'utf8')
        if (data.length > rule.fileBytes) {
          const why = `${labelOf(root, path)} would have ${data.length} bytes; ${rule.fileBytes / 1024} KB are granted (maxFileKb)`
          throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.files: ${why}. Nothing was written.`)
        }
        await at('write', root, path, writable, (open, place) => writeFile(open, place, data, quota))
      },
      async remove(args) {
        const [root, path] = readRemove(args)
        await at('remove', root, path, writable, (open, place) => removeFile(open, place, quota))
      },
      async list(args) {
        const [root, path] = readList(args)
        return await at('list', root, path ?? '', folder, listFiles)
      },
      async stat(args) {
        const [root, path] = readStat(args)
        return await at('stat', root, path, known, statFile)
      },
      async tail(args) {
        const [root, path, given, most] = readTailOf(args)
        const cursor = given === null ? undefined : readCursor(given)
        if (given !== null && cursor === undefined)
          throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', 'ctx.files.tail: this cursor is not from a former answer')
        // At least one whole character, or a tail of a few bytes would never get on.
        const maxBytes = Math.max(4, Math.min(most ?? tailBytes, rule.fileBytes))
        return await at('tail', root, path, readable, (open, place) => readTail(open, place, cursor, maxBytes))
      },
    },
    dispose() {
      for (const keeper of keepers.values()) keeper.close()
    },
  }
}

function keeperOf(keepers: ReadonlyMap<string, RootKeeper>, root: string): RootKeeper {
  const keeper = keepers.get(root)
  if (keeper === undefined) throw new OrchestryError('ORC_CAPABILITY_DENIED', 'ctx.files: there is no such root')
  return keeper
}

async function countAll(rule: FilesRule, keepers: ReadonlyMap<string, RootKeeper>, clock: Clock): Promise<Tally> {
  let sum: Tally = { bytes: 0, files: 0 }
  for (const own of rule.roots.values()) {
    if (own.write.length === 0) continue
    const { bytes: more, files } = await keeperOf(keepers, own.name).withRoot((open) => countFiles(open, own, clock))
    sum = { bytes: sum.bytes + more, files: sum.files + files }
  }
  return sum
}

function bytesOf(text: string, given: Encoding): Buffer {
  const isFit = given === 'utf8' ? text.isWellFormed() : text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
  if (isFit) return Buffer.from(text, given)
  throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.files.write: the data is no ${given}. Nothing was written.`)
}
