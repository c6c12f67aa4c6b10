/** What a driver is told to start, from the spec. Pure. */
import type { App } from '../apps/app.ts'
import { boundsOf, type ContainerPolicy, defaultContainerPolicy, policyViolations } from '../container-policy.ts'
import type { StartRequest } from '../drivers/driver.ts'
import { OrchestryError } from '../errors.ts'

/** The value of a secret; undefined where none can be had. */
export type SecretOf = (name: string) => string | undefined

/**
 * @param options.containerPolicy as it is now: the spec may have been applied under another one
 * @throws ORC_DRIVER_START_FAILED when the spec names a secret that cannot be had
 * @throws ORC_SPEC_FORBIDDEN when the policy does not allow the container any more
 */
export function startRequest(
  id: string,
  version: string,
  app: App,
  options: { replicas: number; secretOf: SecretOf; containerPolicy?: ContainerPolicy },
): StartRequest {
  const { replicas, secretOf, containerPolicy = defaultContainerPolicy } = options
  refuseForbidden(app, containerPolicy)
  const env: Record<string, string> = {}
  const envFields: Record<string, 'instance.ip' | 'instance.port'> = {}
  for (const entry of app.env) {
    if ('value' in entry) env[entry.name] = entry.value
    else if ('secret' in entry) env[entry.name] = secretOf(entry.secret) ?? refuse(app.name, entry.name, entry.secret)
    else if (entry.field === 'app.name') env[entry.name] = app.name
    else if (entry.field === 'app.replicas') env[entry.name] = String(replicas)
    else envFields[entry.name] = entry.field
  }
  // What takes the traffic speaks HTTP where any port does.
  const port = app.ports.find(({ protocol }) => protocol === 'HTTP') ?? app.ports[0]
  const { args, volumes, security } = app
  const { cpuMilli, memoryBytes, pids } = app.image === undefined ? app : boundsOf(app, containerPolicy)
  return {
    id,
    app: app.name,
    version,
    command: app.command,
    env,
    envFields,
    ...(args === undefined ? {} : { args }),
    ...(app.workingDir === undefined ? {} : { workingDir: app.workingDir }),
    ...(cpuMilli === undefined ? {} : { cpuMilli }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(pids === undefined ? {} : { pids }),
    ...(port === undefined ? {} : { containerPort: port.containerPort, ports: app.ports }),
    ...(app.image === undefined ? {} : { image: app.image }),
    ...(volumes === undefined ? {} : { volumes }),
    ...(security === undefined ? {} : { security }),
  }
}

function refuseForbidden(app: App, policy: ContainerPolicy): void {
  const violations = policyViolations(app, policy)
  if (violations.length === 0) return
  const why = violations.map(({ pointer, message }) => `${pointer}: ${message}`).join('; ')
  throw new OrchestryError(
    'ORC_SPEC_FORBIDDEN',
    `${why}. The spec was allowed when it was applied: apply a changed one, or change ORCHESTRY_CONTAINER_POLICY. What runs goes on; nothing was started.`,
  )
}

function refuse(app: string, variable: string, secret: string): never {
  throw new OrchestryError(
    'ORC_DRIVER_START_FAILED',
    `env ${variable} of app ${app} takes its value from secret ${secret}, which does not exist or cannot be read. Set it with: orchestry secret set ${secret}. Nothing was started; it is tried again.`,
  )
}
