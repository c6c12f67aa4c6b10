/** Checks one value against one plain JSON schema, step by step, without making code of it. Also runs as a thread of its own. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { Errors } from 'typebox/schema'
import { Settings } from 'typebox/system'
import type { Problem } from '../errors.ts'
import { problemsOf } from './problems.ts'

/** Every problem with its path; empty when the value fits. */
export function schemaProblems(schema: Readonly<Record<string, unknown>>, value: unknown): Problem[] {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: 100 })
  try {
    const [isValid, errors] = Errors(schema, value)
    return isValid ? [] : problemsOf(errors, schema, value)
  } finally {
    Settings.Set({ maxErrors })
  }
}

if (!isMainThread && isCheck(workerData)) parentPort?.postMessage(schemaProblems(workerData.schema, workerData.config))

function isCheck(data: unknown): data is { schema: Record<string, unknown>; config: unknown } {
  return typeof data === 'object' && data !== null && 'schema' in data && 'config' in data
}
