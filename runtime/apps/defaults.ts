/** Everything a spec may leave open, in one table, and the app that comes of it. Pure. */
import type { HealthCheck } from '@orchestry/sdk'
import type { App, EnvEntry, Rollout, Scaling, ScalingRule } from './app.ts'
import { cpuMilli, memoryBytes } from './quantity.ts'
import type { AppSpecDocument } from './schema.ts'

/** Chosen for a control plane that is near its replicas: out within seconds, in after a quiet minute. */
export const defaults = {
  driver: { withImage: 'docker', withoutImage: 'process' },
  portProtocol: 'HTTP',
  /** With a host of its own an app gets all of its paths, otherwise `/<name>/`. */
  ingressPathWithHost: '/',
  scaling: {
    mode: 'auto',
    minReplicas: 1,
    /** Or `minReplicas`, where that is more. */
    maxReplicas: 10,
    /** Only when the spec has no `targets` at all. Memory is left out: it seldom falls again, so it would scale out for good. */
    targets: { cpuPercent: 70 },
    scaleOutThresholdPct: 80,
    scaleInThresholdPct: 50,
    windowSeconds: 5,
    cooldownSeconds: { out: 1, in: 60 },
    stabilizationWindowSeconds: { out: 0, in: 60 },
  },
  healthCheck: {
    protocol: 'HTTP',
    /** Of HTTP; who speaks something else is asked for no path. */
    http: { path: '/healthz', method: 'GET' },
    /** Empty stands for every status from 200 to 399. */
    expectedStatusCodes: [],
    initialDelaySeconds: 0,
    periodSeconds: 5,
    /** Or `periodSeconds`, where that is less. */
    timeoutSeconds: 2,
    failureThreshold: 3,
    successThreshold: 1,
    /** Only where the spec has a `startup`: together as long as a replica may take without one. Its timeout is that of the check. */
    startup: { periodSeconds: 1, failureThreshold: 60 },
  },
  rollout: {
    maxSurge: 1,
    maxUnavailable: 0,
    minReadySeconds: 2,
    /** Long enough for a large image over a slow line, as far as nothing is heard of it. */
    progressDeadlineSeconds: 600,
    drainSeconds: 10,
    stopGraceSeconds: 10,
  },
} as const

/** The driver of a spec that names none. */
export const defaultDriver = (hasImage: boolean): string =>
  hasImage ? defaults.driver.withImage : defaults.driver.withoutImage

/** The app of a document that is valid in every respect. */
export function complete(document: AppSpecDocument): App {
  const { metadata, spec, ingress = {} } = document
  const cpu = spec.resources?.cpu === undefined ? undefined : cpuMilli(spec.resources.cpu)
  const memory = spec.resources?.memory === undefined ? undefined : memoryBytes(spec.resources.memory)
  const path = ingress.path ?? (ingress.host === undefined ? `/${metadata.name}/` : defaults.ingressPathWithHost)
  const healthCheck = document.healthCheck && completeHealthCheck(document.healthCheck)
  return {
    name: metadata.name,
    labels: metadata.labels ?? {},
    driver: spec.driver ?? defaultDriver(spec.image !== undefined),
    ...given('image', spec.image),
    // For a process there is one list; for a container it matters which part replaces the entrypoint.
    command: spec.image === undefined ? [...(spec.command ?? []), ...(spec.args ?? [])] : (spec.command ?? []),
    ...given('args', spec.image === undefined ? undefined : spec.args),
    ...given('workingDir', spec.workingDir),
    env: (spec.env ?? []) as EnvEntry[],
    ports: (spec.ports ?? []).map((port) => ({
      containerPort: port.containerPort,
      protocol: port.protocol ?? defaults.portProtocol,
      ...given('name', port.name),
    })),
    ...given('cpuMilli', cpu),
    ...given('memoryBytes', memory),
    ...given('pids', spec.resources?.pids),
    ...given('volumes', volumesOf(spec.volumes)),
    ...given('security', securityOf(spec.security)),
    ingress: {
      ...given('host', ingress.host),
      path: path.endsWith('/') ? path : `${path}/`,
      ...given('loadBalancer', ingress.loadBalancer),
    },
    scaling: completeScaling(document.scaling ?? {}),
    ...given('healthCheck', healthCheck),
    rollout: { ...defaults.rollout, ...patienceFor(healthCheck), ...document.rollout } as Rollout,
  }
}

type SpecDocument = AppSpecDocument['spec']

/** None is the same as no field, so that taking the last one away leaves no trace in the version. */
function volumesOf(volumes: SpecDocument['volumes'] = []): App['volumes'] {
  if (volumes.length === 0) return undefined
  return volumes.map(({ name, mountPath, readOnly }) => ({ name, mountPath, isReadOnly: readOnly ?? false }))
}

function securityOf(security: SpecDocument['security'] = {}): App['security'] {
  const { runAsUser, readOnlyRootFilesystem = true, capabilities = [] } = security
  if (runAsUser === undefined && readOnlyRootFilesystem && capabilities.length === 0) return undefined
  return {
    ...given('runAsUser', runAsUser === undefined ? undefined : String(runAsUser)),
    isRootWritable: !readOnlyRootFilesystem,
    // As a set: their order means nothing and must not start a rollout.
    capabilities: [...new Set(capabilities)].sort(),
  }
}

function completeScaling(scaling: NonNullable<AppSpecDocument['scaling']>): Scaling {
  const { targets, cooldownSeconds, behavior, scalers, fallback, replicas, ...plain } = scaling
  const { targets: defaultTargets, stabilizationWindowSeconds: windows, ...plainDefaults } = defaults.scaling
  const cooldown =
    typeof cooldownSeconds === 'number' ? { out: cooldownSeconds, in: cooldownSeconds } : (cooldownSeconds ?? {})
  return {
    ...plainDefaults,
    maxReplicas: defaultMaxReplicas(scaling.minReplicas),
    ...plain,
    ...given('replicas', replicas),
    targets: targets ?? defaultTargets,
    cooldownSeconds: { ...plainDefaults.cooldownSeconds, ...cooldown },
    behavior: {
      scaleOut: completeRule(behavior?.scaleOut ?? {}, windows.out),
      scaleIn: completeRule(behavior?.scaleIn ?? {}, windows.in),
    },
    ...given('scalers', scalers),
    ...given('fallback', fallback),
  }
}

/** The most replicas of a spec that does not say. */
export const defaultMaxReplicas = (minReplicas: number | undefined): number =>
  Math.max(defaults.scaling.maxReplicas, minReplicas ?? 0)

type RuleDocument = NonNullable<NonNullable<NonNullable<AppSpecDocument['scaling']>['behavior']>['scaleIn']>

function completeRule(rule: RuleDocument, windowSeconds: number): ScalingRule {
  return {
    stabilizationWindowSeconds: rule.stabilizationWindowSeconds ?? windowSeconds,
    policies: rule.policies ?? [],
    select: rule.selectPolicy === 'Min' ? 'min' : 'max',
    isDisabled: rule.selectPolicy === 'Disabled',
  }
}

/** A rollout is not given up while a new replica still has time to come up. */
function patienceFor(check: HealthCheck | undefined): { progressDeadlineSeconds?: number } {
  const { progressDeadlineSeconds } = defaults.rollout
  const { initialDelaySeconds = 0, startup } = check ?? {}
  if (!startup) return {}
  const startSeconds = initialDelaySeconds + startup.periodSeconds * startup.failureThreshold
  return { progressDeadlineSeconds: Math.max(progressDeadlineSeconds, Math.ceil(startSeconds) + 60) }
}

function completeHealthCheck(check: NonNullable<AppSpecDocument['healthCheck']>): HealthCheck {
  const { http, startup: startupDefaults, ...plainDefaults } = defaults.healthCheck
  const { startup, ...given } = check
  const isHttp = /^https?$/i.test(check.protocol ?? plainDefaults.protocol)
  const timeoutSeconds =
    check.timeoutSeconds ?? Math.min(plainDefaults.timeoutSeconds, check.periodSeconds ?? plainDefaults.periodSeconds)
  const whileStarting = startup && { ...startupDefaults, ...startup }
  return {
    ...plainDefaults,
    ...(isHttp ? http : { path: '', method: '' }),
    headers: {},
    ...given,
    timeoutSeconds,
    expectedStatusCodes: check.expectedStatusCodes ?? [],
    ...(whileStarting && {
      startup: {
        ...whileStarting,
        timeoutSeconds: whileStarting.timeoutSeconds ?? Math.min(timeoutSeconds, whileStarting.periodSeconds),
      },
    }),
  }
}

/** A property that is absent, not undefined, when there is no value. */
function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V }
}
