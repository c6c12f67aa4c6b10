/**
 * Reads the whole store in a process of its own, before the runtime opens it: LMDB maps the file into memory, so a damaged
 * page can end the process that reads it. Arguments: the store's folder. Exit code 0 = sound; the reason is on stdout.
 */
import { messageOf } from '../errors.ts'
import { openEnvironment } from './environment.ts'

const path = process.argv[2] ?? ''
try {
  const environment = openEnvironment(path, { readOnly: true })
  environment.verify()
  await environment.close()
} catch (error) {
  process.stdout.write(messageOf(error))
  process.exitCode = 1
}
