/** What the engine is told to create for one replica. Pure. Nothing that a user wrote is taken over but what is named here. */

import { type Labels, labelsOf, volumeLabels } from './docker-labels.ts'
import { volumeName } from './docker-names.ts'
import type { StartRequest } from './driver.ts'

/** A fork bomb ends here; a server with a thousand threads does not. */
const mostProcesses = 4_096
/** Of what an app without a right to write writes; counted against its memory. */
const scratchOptions = 'rw,noexec,nosuid,nodev,mode=1777,size=64m'
const runOptions = 'rw,noexec,nosuid,nodev,mode=755,size=16m'
/** What an engine's own file logs keep of one container, in two files. */
const logFiles = 2
const rotating = new Set(['json-file', 'local'])

export interface Placement {
  readonly ownerId: string
  /** Where the image was resolved to, never a tag. */
  readonly imageId: string
  /** The container's port that takes the traffic. */
  readonly port: number
  readonly network: string
  /** Set where the app asked for its address before it runs; else the engine chooses. */
  readonly ip?: string
  /** Where containers cannot be reached by their address: the engine's address that the port is published on. */
  readonly publishOn?: string
  /** Of the engine. Only where the engine writes files of its own is there something to bound. */
  readonly logDriver: string
  readonly logBytes: number
}

interface Mount {
  readonly Type: 'volume'
  readonly Source: string
  readonly Target: string
  readonly ReadOnly: boolean
  readonly VolumeOptions: { readonly Labels: Labels }
}

export interface ContainerBody {
  readonly Image: string
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Env: readonly string[]
  readonly WorkingDir?: string
  readonly User?: string
  readonly Labels: Labels
  readonly ExposedPorts: Readonly<Record<string, Record<string, never>>>
  readonly HostConfig: {
    readonly NetworkMode: string
    readonly IpcMode: 'private'
    readonly CgroupnsMode: 'private'
    readonly Privileged: false
    readonly PublishAllPorts: false
    readonly PortBindings: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[]>>
    readonly Init: true
    readonly AutoRemove: false
    readonly RestartPolicy: { readonly Name: 'no' }
    readonly CapDrop: readonly ['ALL']
    readonly CapAdd: readonly string[]
    readonly SecurityOpt: readonly ['no-new-privileges']
    readonly ReadonlyRootfs: boolean
    readonly Tmpfs: Readonly<Record<string, string>>
    readonly Mounts: readonly Mount[]
    readonly PidsLimit: number
    readonly Memory?: number
    readonly MemorySwap?: number
    readonly NanoCpus?: number
    readonly LogConfig?: { readonly Type: string; readonly Config: Readonly<Record<string, string>> }
  }
  readonly NetworkingConfig?: {
    readonly EndpointsConfig: Readonly<Record<string, { readonly IPAMConfig: { readonly IPv4Address: string } }>>
  }
}

export function containerBody(request: StartRequest, place: Placement): ContainerBody {
  const { command, args, workingDir, security, id, app, version } = request
  const { ownerId, port } = place
  return {
    Image: place.imageId,
    ...(command.length > 0 && { Entrypoint: command }),
    ...(args && args.length > 0 && { Cmd: args }),
    Env: Object.entries(environment(request, place)).map(([name, value]) => `${name}=${value}`),
    ...(workingDir !== undefined && { WorkingDir: workingDir }),
    ...(security?.runAsUser !== undefined && { User: security.runAsUser }),
    Labels: labelsOf({ ownerId, id, app, version, port }),
    ExposedPorts: Object.fromEntries([...new Set([port, ...portsOf(request)])].map((one) => [`${one}/tcp`, {}])),
    HostConfig: hostConfig(request, place),
    ...(place.ip !== undefined && {
      NetworkingConfig: { EndpointsConfig: { [place.network]: { IPAMConfig: { IPv4Address: place.ip } } } },
    }),
  }
}

function hostConfig(request: StartRequest, place: Placement): ContainerBody['HostConfig'] {
  const { cpuMilli, memoryBytes, security } = request
  const mounts = mountsOf(request, place.ownerId)
  const isRootWritable = security?.isRootWritable === true
  return {
    NetworkMode: place.network,
    IpcMode: 'private',
    CgroupnsMode: 'private',
    Privileged: false,
    PublishAllPorts: false,
    PortBindings:
      place.publishOn === undefined ? {} : { [`${place.port}/tcp`]: [{ HostIp: place.publishOn, HostPort: '' }] },
    Init: true,
    AutoRemove: false,
    RestartPolicy: { Name: 'no' },
    CapDrop: ['ALL'],
    CapAdd: security?.capabilities ?? [],
    SecurityOpt: ['no-new-privileges'],
    ReadonlyRootfs: !isRootWritable,
    Tmpfs: isRootWritable ? {} : scratch(mounts),
    Mounts: mounts,
    PidsLimit: request.pids ?? mostProcesses,
    // No more swap than memory: a replica at its limit is to be seen, not to grind.
    ...(memoryBytes !== undefined && { Memory: memoryBytes, MemorySwap: memoryBytes }),
    ...(cpuMilli !== undefined && { NanoCpus: cpuMilli * 1_000_000 }),
    ...(rotating.has(place.logDriver) && {
      LogConfig: {
        Type: place.logDriver,
        Config: { 'max-size': String(Math.floor(place.logBytes / logFiles)), 'max-file': String(logFiles) },
      },
    }),
  }
}

/** `PORT` is where traffic will come; an app whose port is fixed says so with a `PORT` of its own, or does not look. */
function environment(request: StartRequest, place: Placement): Record<string, string> {
  const { env, envFields, app, id, version } = request
  const facts = { 'instance.ip': place.ip ?? '', 'instance.port': String(place.port) }
  const fields = Object.entries(envFields).map(([name, field]) => [name, facts[field]] as const)
  return {
    PORT: String(place.port),
    ...env,
    ...Object.fromEntries(fields),
    ORCHESTRY_APP: app,
    ORCHESTRY_INSTANCE: id,
    ORCHESTRY_VERSION: version,
  }
}

const portsOf = ({ ports = [] }: StartRequest) => ports.map(({ containerPort }) => containerPort)

function mountsOf({ volumes = [], app }: StartRequest, ownerId: string): Mount[] {
  return volumes.map(({ name, mountPath, isReadOnly }) => ({
    Type: 'volume',
    Source: volumeName(ownerId, app, name),
    Target: mountPath,
    ReadOnly: isReadOnly,
    VolumeOptions: { Labels: volumeLabels(ownerId, app) },
  }))
}

/** Where programs expect to be able to write, unless the app put a volume there. */
function scratch(mounts: readonly Mount[]): Record<string, string> {
  const taken = new Set(mounts.map(({ Target }) => Target.replace(/\/+$/, '')))
  const places = { '/tmp': scratchOptions, '/run': runOptions }
  return Object.fromEntries(Object.entries(places).filter(([path]) => !taken.has(path)))
}
