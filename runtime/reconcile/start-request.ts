/** What a driver is told to start, from the spec. Pure. */
import type { App } from '../apps/app.ts'
import type { StartRequest } from '../drivers/driver.ts'
import { OrchestryError } from '../errors.ts'

/** @throws ORC_DRIVER_START_FAILED when the spec names a secret: there is nowhere to read it from. */
export function startRequest(id: string, version: string, app: App, replicas: number): StartRequest {
  const env: Record<string, string> = {}
  const envFields: Record<string, 'instance.ip' | 'instance.port'> = {}
  for (const entry of app.env) {
    if ('value' in entry) env[entry.name] = entry.value
    else if ('secret' in entry) throw secretMissing(app.name, entry.name, entry.secret)
    else if (entry.field === 'app.name') env[entry.name] = app.name
    else if (entry.field === 'app.replicas') env[entry.name] = String(replicas)
    else envFields[entry.name] = entry.field
  }
  const [port] = app.ports
  return {
    id,
    app: app.name,
    version,
    command: app.command,
    env,
    envFields,
    ...(app.workingDir === undefined ? {} : { workingDir: app.workingDir }),
    ...(app.cpuMilli === undefined ? {} : { cpuMilli: app.cpuMilli }),
    ...(app.memoryBytes === undefined ? {} : { memoryBytes: app.memoryBytes }),
    ...(port === undefined ? {} : { containerPort: port.containerPort }),
    ...(app.image === undefined ? {} : { image: app.image }),
  }
}

function secretMissing(app: string, variable: string, secret: string): OrchestryError {
  return new OrchestryError(
    'ORC_DRIVER_START_FAILED',
    `env ${variable} of app ${app} takes its value from secret ${secret}, which does not exist. Give it a plain value; nothing was started.`,
  )
}
