/**
 * Fields that people know from Compose, Kubernetes and engines and that do not exist here: why, and what there is instead. The
 * schema refuses them like every unknown field; this only finds the better words. Pure.
 */

const ofMachine = 'a replica has namespaces of its own and never shares those of the machine'
const noPaths =
  'a path of the machine is never mounted into a replica; use a volume that keeps data for the app: `volumes: [{ name: data, mountPath: /var/lib/data }]`'
const isReplaced = 'a replica that ends is always replaced'
const inResources = 'write `resources: { cpu: 500m, memory: 512Mi, pids: 256 }`'

const reasons: readonly (readonly [names: string, reason: string])[] = [
  [
    'privileged',
    'a privileged container is as good as root on the machine; ask for single rights with `security.capabilities`, or run the program on the machine itself with `driver: process`',
  ],
  [
    'hostNetwork networkMode network networks net',
    `${ofMachine}; say where it listens with \`ports\` and where it is reached with \`ingress\``,
  ],
  ['hostPid pid pidMode hostIpc ipc ipcMode uts utsMode hostUsers', ofMachine],
  ['userns usernsMode usernsRemap', 'how users are mapped is set in the engine, by the operator'],
  ['cgroup cgroupns cgroupnsMode cgroupParent', `${ofMachine}; bound it with \`resources\``],
  [
    'device devices deviceRequests deviceCgroupRules gpus blkioConfig',
    'devices of the machine are not handed to containers; a program that needs one runs on the machine itself with `driver: process`',
  ],
  ['capAdd add', 'capabilities are asked for as `security: { capabilities: [NET_BIND_SERVICE] }`'],
  ['capDrop drop', 'every capability is dropped already; `security.capabilities` names those to be given back'],
  [
    'securityOpt seccompProfile seccomp appArmor appArmorProfile seLinuxOptions procMount noNewPrivileges allowPrivilegeEscalation',
    'how a container is confined (no new privileges, filtered system calls) is not for apps to loosen; `security` says what can be asked for',
  ],
  ['sysctl sysctls', 'settings of the kernel belong to the machine'],
  ['runtime runtimeClassName isolation', 'what runs containers is set in the engine, by the operator'],
  ['bind binds mount mounts hostPath source src volumesFrom volumeDriver', noPaths],
  [
    'hostConfig networkingConfig',
    'requests to the engine are made by Orchestry; say what is wanted in the fields of `spec`',
  ],
  [
    'hostPort published hostIp publishAll publishAllPorts',
    'a replica has no port on the machine; its traffic comes through `ingress`',
  ],
  ['expose', 'write `ports: [{ containerPort: 8080 }]`'],
  ['restart', `${isReplaced}; leave the field out`],
  ['entrypoint', 'write `command`, which replaces the entrypoint of the image; arguments behind it are `args`'],
  ['envFile', 'write the variables as `env`; what is secret is set with `orchestry secret set NAME` and named there'],
  ['secrets configs', 'write `env: [{ name: TOKEN, secret: NAME }]` and set it with `orchestry secret set NAME`'],
  ['cpus cpuCount cpuShares cpuQuota memLimit memoryLimit pidsLimit ulimits limits requests reservations', inResources],
  ['memswapLimit memswap memSwappiness memReservation memoryReservation oomKillDisable oomScoreAdj', inResources],
  ['deploy', `${inResources}, and for replicas \`scaling: { minReplicas: 2, maxReplicas: 6 }\`, at the top level`],
  ['tmpfs', '`/tmp` can be written already and is empty in every new replica'],
  ['build', 'images are built elsewhere; write `image`'],
  [
    'dependsOn links',
    'apps are started beside each other; let an app wait for what it needs, and its health check say when it is ready',
  ],
  ['containerName hostname domainname', 'replicas are named by Orchestry; an app is reached by its route'],
  ['extraHosts dns dnsOpt dnsSearch', 'names are resolved as the engine does it; set this in the engine'],
  ['stopSignal', 'the image says it (STOPSIGNAL)'],
  ['stopGracePeriod', 'write `rollout: { stopGraceSeconds: 10 }`, at the top level'],
  [
    'pullPolicy imagePullPolicy',
    'an image that the engine has is not pulled again; give each build a tag or a digest of its own',
  ],
  ['imagePullSecrets', 'access to registries is a setting of Orchestry (ORCHESTRY_REGISTRIES), not of an app'],
  [
    'healthCheck livenessProbe readinessProbe startupProbe',
    'write `healthCheck: { path: /healthz }`, at the top level',
  ],
  ['init', 'a container always has an init; leave the field out'],
  ['tty stdinOpen interactive', 'a replica runs unattended; leave the field out'],
  ['services', 'a Compose file describes several apps; write one spec for each (`apiVersion: v1`, `kind: App`)'],
  ['shmSize', 'the size of /dev/shm is the one that the engine gives; leave the field out'],
  ['containers initContainers', 'an app is one container; run others as apps of their own'],
  ['logging', 'what a replica writes to its output is kept: `orchestry logs APP`'],
  ['runAsNonRoot', 'write `runAsUser` with a number above 0'],
  ['supplementalGroups fsGroup groupAdd', 'write the group behind the user: `runAsUser: 1000:1000`'],
]

const simple = (name: string) => name.toLowerCase().replaceAll(/[_-]/g, '')
const reasonOf = new Map(
  reasons.flatMap(([names, reason]) => names.split(' ').map((name) => [simple(name), reason] as const)),
)

/** However it is spelled: `network_mode`, `networkMode`, `NetworkMode`. Undefined for what nobody brings from elsewhere. */
export const whyRefused = (name: string): string | undefined => reasonOf.get(simple(name))
