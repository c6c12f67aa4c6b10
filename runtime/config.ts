/** Settings of one Orchestry process: flags win over environment, environment over defaults. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type ContainerPolicy, defaultContainerPolicy, readContainerPolicy } from './container-policy.ts'
import { OrchestryError } from './errors.ts'
import { limitPolicyForm, readLimitPolicy } from './limit-policy.ts'
import type { LimitPolicy } from './limits.ts'
import { type LogLevel, logLevels } from './log.ts'
import { type Registries, readRegistries, registriesForm } from './registries.ts'

export interface Config {
  readonly host: string
  readonly port: number
  readonly proxyHost: string
  readonly proxyPort: number
  readonly dataDir: string
  readonly logLevel: LogLevel
  /** How often scaling is decided. */
  readonly tickMs: number
  /** What becomes of replicas and the proxy when this process is asked to end. */
  readonly onExit: 'stop' | 'keep'
  /** The most that any plugin gets, whatever its manifest asks for. */
  readonly pluginLimits: LimitPolicy
  /** What apps may ask for of containers, and what they get that ask for nothing. */
  readonly containerPolicy: ContainerPolicy
  /** How strictly sandbox processes are confined: a tier, or the strictest that this machine can give. */
  readonly sandboxTier: (typeof sandboxTiers)[number]
  /** Plugins that did not come with Orchestry are not run in a tier below it. */
  readonly sandboxFloor: 0 | 1 | 2 | 3
  /** Where the Docker engine listens: unix:///path or tcp://host:port. */
  readonly dockerHost: string
  /** Directory of ca.pem, cert.pem and key.pem for an engine that is spoken to over TLS. */
  readonly dockerCertDir?: string
  /** How traffic gets to a container: by its own address, by a published port, or as the engine needs it. */
  readonly dockerReach: (typeof dockerReaches)[number]
  /** Credentials to pull images with. */
  readonly registries: Registries
  /** Directories whose sub-directories are plugins that come with Orchestry. */
  readonly builtinDirs: readonly string[]
}

export const sandboxTiers = ['best', '3', '2', '1', '0'] as const

export const dockerReaches = ['auto', 'address', 'port'] as const

export type Settings = Partial<Record<Exclude<keyof Config, 'builtinDirs'>, string | number>>

/** Environment variable of each setting. */
export const settingVariables: Record<keyof Settings, string> = {
  host: 'ORCHESTRY_HOST',
  port: 'ORCHESTRY_PORT',
  proxyHost: 'ORCHESTRY_PROXY_HOST',
  proxyPort: 'ORCHESTRY_PROXY_PORT',
  dataDir: 'ORCHESTRY_DATA_DIR',
  logLevel: 'ORCHESTRY_LOG_LEVEL',
  tickMs: 'ORCHESTRY_TICK_MS',
  onExit: 'ORCHESTRY_ON_EXIT',
  pluginLimits: 'ORCHESTRY_PLUGIN_LIMITS',
  containerPolicy: 'ORCHESTRY_CONTAINER_POLICY',
  sandboxTier: 'ORCHESTRY_SANDBOX_TIER',
  sandboxFloor: 'ORCHESTRY_SANDBOX_FLOOR',
  dockerHost: 'ORCHESTRY_DOCKER_HOST',
  dockerCertDir: 'ORCHESTRY_DOCKER_CERT_DIR',
  dockerReach: 'ORCHESTRY_DOCKER_REACH',
  registries: 'ORCHESTRY_REGISTRIES',
}

const loopback = new Set(['127.0.0.1', 'localhost', '::1'])

/** @throws ORC_CONFIG_INVALID naming the setting, its value and what would be right. */
export function readConfig(
  settings: Settings,
  env: NodeJS.ProcessEnv = process.env,
  builtinDirs: readonly string[] = [],
): Config {
  const value = (key: keyof Settings) => settings[key] ?? env[settingVariables[key]]
  // Of registries nothing is shown: a password may have got in.
  const refuse = (key: keyof Settings, wanted: string): never => {
    throw new OrchestryError(
      'ORC_CONFIG_INVALID',
      `${settingVariables[key]} (or its flag) is ${key === 'registries' ? 'not readable' : JSON.stringify(value(key))}; it must be ${wanted}.`,
    )
  }
  const whole = (key: keyof Settings, fallback: number, min: number, max: number): number => {
    const given = value(key)
    if (given === undefined || given === '') return fallback
    const number = Number(given)
    return Number.isInteger(number) && number >= min && number <= max
      ? number
      : refuse(key, `a whole number from ${min} to ${max}`)
  }
  const oneOf = <T extends string>(key: keyof Settings, fallback: T, allowed: readonly T[]): T => {
    const given = value(key)
    if (given === undefined || given === '') return fallback
    return allowed.includes(given as T) ? (given as T) : refuse(key, `one of ${allowed.join(', ')}`)
  }
  const policy = (): LimitPolicy => {
    const given = value('pluginLimits')
    if (given === undefined || given === '') return {}
    return readLimitPolicy(String(given)) ?? refuse('pluginLimits', limitPolicyForm)
  }
  const registries = (): Registries => {
    const given = value('registries')
    if (given === undefined || given === '') return {}
    return readRegistries(String(given)) ?? refuse('registries', registriesForm)
  }
  const containers = (): ContainerPolicy => {
    const given = value('containerPolicy')
    if (given === undefined || given === '') return defaultContainerPolicy
    const policy = readContainerPolicy(String(given))
    return 'wrong' in policy ? refuse('containerPolicy', policy.wrong) : policy
  }
  const host = String(value('host') ?? '127.0.0.1')
  if (!loopback.has(host))
    refuse('host', 'a loopback address (127.0.0.1, ::1): without authentication nothing else is served')
  const dataHome = env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state')
  return {
    host,
    port: whole('port', 8000, 0, 65_535),
    proxyHost: String(value('proxyHost') ?? '127.0.0.1'),
    proxyPort: whole('proxyPort', 8080, 0, 65_535),
    dataDir: resolve(String(value('dataDir') ?? join(dataHome, 'orchestry'))),
    logLevel: oneOf('logLevel', 'info', logLevels),
    tickMs: whole('tickMs', 1000, 50, 60_000),
    onExit: oneOf('onExit', 'stop', ['stop', 'keep']),
    pluginLimits: policy(),
    containerPolicy: containers(),
    sandboxTier: oneOf('sandboxTier', 'best', sandboxTiers),
    sandboxFloor: whole('sandboxFloor', 1, 0, 3) as Config['sandboxFloor'],
    ...dockerSettings(value, env, refuse),
    dockerReach: oneOf('dockerReach', 'auto', dockerReaches),
    registries: registries(),
    builtinDirs,
  }
}

/** What is set for the `docker` command holds here too; of that, what cannot be used is not our setting to refuse. */
function dockerSettings(
  value: (key: keyof Settings) => string | number | undefined,
  env: NodeJS.ProcessEnv,
  refuse: (key: keyof Settings, wanted: string) => never,
): Pick<Config, 'dockerHost' | 'dockerCertDir'> {
  const own = value('dockerHost')
  if (own !== undefined && own !== '' && !/^(unix:\/\/\/|\/|(tcp|https?):\/\/[^/])/.test(String(own)))
    refuse('dockerHost', 'unix:///path or tcp://host:port')
  const dockerHost = String(own || env.DOCKER_HOST || 'unix:///var/run/docker.sock')
  const ofCommand = env.DOCKER_TLS_VERIFY ? env.DOCKER_CERT_PATH || join(env.HOME || homedir(), '.docker') : undefined
  const certDir = value('dockerCertDir') || ofCommand
  const isTls = certDir !== undefined && certDir !== '' && dockerHost.startsWith('tcp:')
  return { dockerHost, ...(isTls && { dockerCertDir: resolve(String(certDir)) }) }
}
