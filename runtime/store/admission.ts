/** Whether the folder of the embedded store may be opened at all. Never writes into a store that it finds damaged. */
import { execFile } from 'node:child_process'
import { access, constants, mkdir, open, readFile, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf, OrchestryError } from '../errors.ts'
import { corrupt, dataFile } from './environment.ts'

const format = 'orchestry store 1\n'
const formatFile = (path: string): string => join(path, 'format')

/**
 * Creates the folder, or proves that what is in it is whole.
 *
 * @throws ORC_STORE_CORRUPT when it is damaged, ORC_STORE_FAILED when it cannot be used for another reason.
 */
export async function admit(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const [written, bytes] = await Promise.all([readIfThere(formatFile(path)), sizeOf(dataFile(path))])
    if (written !== undefined && written !== format) {
      throw corrupt(
        path,
        `its file "format" holds ${JSON.stringify(written.slice(0, 60))}, not ${JSON.stringify(format)}`,
      )
    }
    if (bytes > 0) {
      await access(dataFile(path), constants.R_OK | constants.W_OK)
      await verify(path)
    } else if (written !== undefined) throw corrupt(path, 'its file data.mdb is missing or empty')
  } catch (error) {
    if (error instanceof OrchestryError) throw error
    throw new OrchestryError('ORC_STORE_FAILED', `The store in ${path} cannot be used: ${messageOf(error)}.`, {
      cause: error,
    })
  }
}

/** Marks the folder as one that holds a store: from now on an empty or missing data file is a loss, not a beginning. */
export async function seal(path: string): Promise<void> {
  const file = await open(formatFile(path), 'w', 0o600)
  try {
    await file.writeFile(format)
    await file.sync()
  } finally {
    await file.close()
  }
}

function verify(path: string): Promise<void> {
  const self = fileURLToPath(import.meta.url)
  const script = join(self, '..', `verify${extname(self)}`)
  return new Promise((resolve, reject) => {
    const nodeArguments = ['--disable-warning=ExperimentalWarning', script, path]
    execFile(process.execPath, nodeArguments, { env: {}, maxBuffer: 1024 * 1024 }, (error, stdout) => {
      if (error === null) return resolve()
      if (typeof error.code === 'string') return reject(error)
      const ended = error.signal ? `reading it ended the process with ${error.signal}` : `exit code ${error.code}`
      reject(
        stdout.startsWith('The store in')
          ? new OrchestryError('ORC_STORE_CORRUPT', stdout)
          : corrupt(path, stdout || ended),
      )
    })
  })
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (isAbsent(error)) return 0
    throw error
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
