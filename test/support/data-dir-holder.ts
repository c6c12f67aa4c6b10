/** A process that takes a data directory, says so on stdout, and holds it until it ends. Argument: the directory. */
import { openDataDir } from '../../runtime/data-dir.ts'

try {
  const { ownerId, release } = await openDataDir(process.argv[2] ?? '')
  process.stdout.write(`${JSON.stringify({ pid: process.pid, ownerId })}\n`)
  process.once('SIGTERM', () => void release().then(() => process.exit()))
  setInterval(() => undefined, 60_000)
} catch (error) {
  const { code, message } = error as { code: string; message: string }
  process.stdout.write(`${JSON.stringify({ pid: process.pid, code, message })}\n`)
}
