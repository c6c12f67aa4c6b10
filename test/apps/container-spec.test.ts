/** What a spec says of a container: the ways to write it, what comes of it, and what is refused with which words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askableCapabilities } from '../../runtime/apps/container-schema.ts'
import { parseSpec } from '../../runtime/apps/spec.ts'
import { startRequest } from '../../runtime/reconcile/start-request.ts'
import { head, problemsOf } from './spec-cases.ts'

const image = (fields: string) =>
  `${head}spec:\n  image: shop:1\n  ports: [{ containerPort: 8080 }]\n  ${fields.replaceAll('\n', '\n  ')}\n`
const linesOf = (text: string) => problemsOf(() => parseSpec(text)).lines

const data = { name: 'data', mountPath: '/var/lib/data', isReadOnly: false }
const least = { isRootWritable: false, capabilities: [] as string[] }

const meanings: [title: string, fields: string, wanted: Record<string, unknown>][] = [
  ['nothing', '', { volumes: undefined, security: undefined, pids: undefined }],
  ['sections that are empty', 'volumes:\nsecurity:', { volumes: undefined, security: undefined }],
  ['an empty list and an empty mapping', 'volumes: []\nsecurity: {}', { volumes: undefined, security: undefined }],
  ['a volume', 'volumes: [{ name: data, mountPath: /var/lib/data }]', { volumes: [data] }],
  [
    'one to read',
    'volumes: [{ name: data, mountPath: /var/lib/data, readOnly: true }]',
    { volumes: [{ ...data, isReadOnly: true }] },
  ],
  ['the short form', 'volumes: ["data:/var/lib/data"]', { volumes: [data] }],
  ['the short form, to read', 'volumes: [data:/var/lib/data:ro]', { volumes: [{ ...data, isReadOnly: true }] }],
  ['the short form, to write', 'volumes: [data:/var/lib/data:rw]', { volumes: [data] }],
  [
    'the names of the long form',
    'volumes: [{ type: volume, name: data, target: /var/lib/data, read_only: true }]',
    { volumes: [{ ...data, isReadOnly: true }] },
  ],
  ['volumeMounts', 'volumeMounts: [{ name: data, mountPath: /var/lib/data }]', { volumes: [data] }],
  [
    'one volume in two places',
    'volumes: [{ name: data, mountPath: /a }, { name: data, mountPath: /b }]',
    {
      volumes: [
        { ...data, mountPath: '/a' },
        { ...data, mountPath: '/b' },
      ],
    },
  ],
  ['a user', 'security: { runAsUser: 1000 }', { security: { ...least, runAsUser: '1000' } }],
  ['a user as a text', 'security: { runAsUser: "1000" }', { security: { ...least, runAsUser: '1000' } }],
  ['a user and a group', 'security: { runAsUser: 1000:2000 }', { security: { ...least, runAsUser: '1000:2000' } }],
  [
    'a user and a group, apart',
    'securityContext: { runAsUser: 1000, runAsGroup: 2000 }',
    { security: { ...least, runAsUser: '1000:2000' } },
  ],
  ['a user beside the image', 'user: 1000:1000', { security: { ...least, runAsUser: '1000:1000' } }],
  [
    'a root that can be written',
    'security: { readOnlyRootFilesystem: false }',
    { security: { ...least, isRootWritable: true } },
  ],
  ['the same beside the image', 'read_only: false', { security: { ...least, isRootWritable: true } }],
  [
    'what is so in any case',
    'security: { readOnlyRootFilesystem: true, privileged: false, allowPrivilegeEscalation: false }',
    { security: undefined },
  ],
  [
    'capabilities, in order, once',
    'security: { capabilities: [SETUID, CAP_CHOWN, chown] }',
    { security: { ...least, capabilities: ['CHOWN', 'SETUID'] } },
  ],
  [
    'capabilities to add and to drop',
    'securityContext: { capabilities: { add: [NET_BIND_SERVICE], drop: [ALL] } }',
    { security: { ...least, capabilities: ['NET_BIND_SERVICE'] } },
  ],
  ['how many processes', 'resources: { pids: 64 }', { pids: 64 }],
  ['arguments only', 'args: [--verbose]', { command: [], args: ['--verbose'] }],
  [
    'a command and arguments',
    'command: [/bin/sh, -c]\nargs: ["exit 1"]',
    { command: ['/bin/sh', '-c'], args: ['exit 1'] },
  ],
]
for (const [title, fields, wanted] of meanings)
  test(`a container with ${title}`, () => {
    const { app } = parseSpec(image(fields))
    assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((key) => [key, app[key as keyof typeof app]])), wanted)
  })

const noPath =
  'a path of the machine is never mounted into a replica; use a volume that keeps data for the app: `volumes: [{ name: data, mountPath: /var/lib/data }]`'
const shortForm = (found: string, why: string) =>
  `expected a volume { name, mountPath, readOnly }${why} (found ${JSON.stringify(found)})`
const mount = (path: string) => `volumes: [{ name: data, mountPath: ${JSON.stringify(path)} }]`

/** The fields, and what is said: the place is that of the first letter that is wrong. */
const refused: [title: string, fields: string, lines: string[]][] = [
  [
    'a path of the machine',
    'volumes: [/srv/data:/data]',
    [`7:13 /spec/volumes/0 | ${shortForm('/srv/data:/data', `; ${noPath}`)}`],
  ],
  [
    'a relative path of the machine',
    'volumes: [./data:/data]',
    [`7:13 /spec/volumes/0 | ${shortForm('./data:/data', `; ${noPath}`)}`],
  ],
  ['a home', 'volumes: ["~/data:/data"]', [`7:13 /spec/volumes/0 | ${shortForm('~/data:/data', `; ${noPath}`)}`]],
  ['a variable', 'volumes: ["$HOME:/data"]', [`7:13 /spec/volumes/0 | ${shortForm('$HOME:/data', `; ${noPath}`)}`]],
  ['a drive', 'volumes: ["C:/data:/data"]', [`7:13 /spec/volumes/0 | ${shortForm('C:/data:/data', `; ${noPath}`)}`]],
  [
    'the socket of the engine',
    'volumes: [/var/run/docker.sock:/var/run/docker.sock]',
    [`7:13 /spec/volumes/0 | ${shortForm('/var/run/docker.sock:/var/run/docker.sock', `; ${noPath}`)}`],
  ],
  ['a volume without a name', 'volumes: [/data]', [`7:13 /spec/volumes/0 | ${shortForm('/data', `; ${noPath}`)}`]],
  [
    'options of a mount',
    'volumes: ["data:/data:z"]',
    [`7:13 /spec/volumes/0 | ${shortForm('data:/data:z', ', such as `data:/var/lib/data`')}`],
  ],
  [
    'hostPath',
    'volumes: [{ name: data, mountPath: /data, hostPath: { path: / } }]',
    [`7:45 /spec/volumes/0/hostPath | unknown field \`hostPath\`: ${noPath}`],
  ],
  [
    'a source',
    'volumes: [{ name: data, mountPath: /data, source: /srv }]',
    [`7:45 /spec/volumes/0/source | unknown field \`source\`: ${noPath}`],
  ],
  [
    'a bind',
    'volumes: [{ type: bind, name: data, mountPath: /data }]',
    [`7:21 /spec/volumes/0/type | expected \`volume\`, found "bind"; ${noPath}`],
  ],
  [
    'a name that is a path',
    'volumes: [{ name: ../data, mountPath: /data }]',
    [
      '7:21 /spec/volumes/0/name | expected the name of a volume (not a path of the machine): lower-case letters, digits and hyphens, the app\'s own, found "../data"',
    ],
  ],
  [
    'the root as its place',
    mount('/'),
    ['7:38 /spec/volumes/0/mountPath | expected a path below `/`: the root is what the image brings, found "/"'],
  ],
  [
    'the root, spelled otherwise',
    mount('/a/..'),
    ['7:38 /spec/volumes/0/mountPath | expected a path below `/`: the root is what the image brings, found "/a/.."'],
  ],
  [
    'a relative place',
    mount('data'),
    [
      '7:38 /spec/volumes/0/mountPath | expected an absolute path inside the container such as `/var/lib/data`, found "data"',
    ],
  ],
  [
    'a place with a colon',
    mount('/a:ro'),
    [
      '7:38 /spec/volumes/0/mountPath | expected an absolute path inside the container such as `/var/lib/data`, found "/a:ro"',
    ],
  ],
  [
    'a slash at its end',
    mount('/data/'),
    [
      '7:38 /spec/volumes/0/mountPath | expected a path without `//`, `.`, `..` and a slash at its end; did you mean `/data`?',
    ],
  ],
  [
    'dots',
    mount('/data/../proc'),
    [
      '7:38 /spec/volumes/0/mountPath | expected a path without `//`, `.`, `..` and a slash at its end; did you mean `/proc`?',
    ],
  ],
  [
    'two slashes',
    mount('//data'),
    [
      '7:38 /spec/volumes/0/mountPath | expected a path without `//`, `.`, `..` and a slash at its end; did you mean `/data`?',
    ],
  ],
  ...['/proc', '/proc/sys', '/sys', '/sys/fs/cgroup', '/dev', '/dev/shm'].map((path): [string, string, string[]] => [
    path,
    mount(path),
    [
      `7:38 /spec/volumes/0/mountPath | expected a path outside \`/${path.split('/')[1]}\`, which the kernel fills, found "${path}"`,
    ],
  ]),
  [
    'the place of a socket',
    mount('/run/docker.sock'),
    [
      '7:38 /spec/volumes/0/mountPath | a replica never gets the socket of the engine, which would make it root on the machine, found "/run/docker.sock"',
    ],
  ],
  [
    'two volumes in one place',
    'volumes: [{ name: a, mountPath: /data }, { name: b, mountPath: /data }]',
    ['7:66 /spec/volumes/1/mountPath | expected a path of its own; /spec/volumes/0 is mounted there'],
  ],
  [
    'a user by name',
    'security: { runAsUser: nginx }',
    [
      '7:26 /spec/security/runAsUser | expected a user in numbers such as `1000` or `1000:1000` (names are different numbers in every image), found "nginx"',
    ],
  ],
  [
    'a negative user',
    'security: { runAsUser: -1 }',
    [
      '7:26 /spec/security/runAsUser | expected a user in numbers such as `1000` or `1000:1000` (names are different numbers in every image), found "-1"',
    ],
  ],
  [
    'an octal user',
    'security: { runAsUser: 0o17 }',
    [
      '7:26 /spec/security/runAsUser | expected a user in numbers such as `1000` or `1000:1000` (names are different numbers in every image), found "0o17"',
    ],
  ],
  [
    'a user beyond all',
    'security: { runAsUser: 1000:4294967295 }',
    ['7:26 /spec/security/runAsUser | expected user and group ids up to 2147483647, found "1000:4294967295"'],
  ],
  [
    'a group without a user',
    'securityContext: { runAsGroup: 1 }',
    ['7:22 /spec/securityContext/runAsGroup | a group is given behind its user, such as `runAsUser: 1000:2000`'],
  ],
  [
    'a misspelt capability',
    'security: { capabilities: [NET_BIND_SERVICES] }',
    [
      `7:30 /spec/security/capabilities/0 | expected ${capabilityChoice()}, found "NET_BIND_SERVICES"; did you mean \`NET_BIND_SERVICE\`?`,
    ],
  ],
  [
    'little memory',
    'resources: { memory: 5Mi }',
    ['7:24 /spec/resources/memory | expected memory from `6Mi`, such as `512Mi`, `512M` or `1.5Gi`, found "5Mi"'],
  ],
  [
    'little memory, in bytes',
    'resources: { memory: 6000000 }',
    ['7:24 /spec/resources/memory | expected memory from `6Mi`, such as `512Mi`, `512M` or `1.5Gi`, found 6000000'],
  ],
  [
    'little CPU',
    'resources: { cpu: 5m }',
    ['7:21 /spec/resources/cpu | expected cores of CPU from `10m` to `1024`, such as `500m` or `0.5`, found "5m"'],
  ],
  [
    'no process at all',
    'resources: { pids: 0 }',
    [
      '7:22 /spec/resources/pids | expected processes and threads of a replica: a whole number from 1 to 1000000, found 0',
    ],
  ],
]
for (const [title, fields, lines] of refused)
  test(`refused in a container: ${title}`, () => {
    assert.deepEqual(linesOf(image(fields)), lines)
  })

function capabilityChoice(): string {
  const names = askableCapabilities.map((name) => `\`${name}\``)
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)} (a capability that may be asked for)`
}

test('what is for containers is refused for a process, with what it has instead', () => {
  const text = `${head}spec:\n  command: [node]\n  volumes: [data:/data]\n  security: { runAsUser: 1 }\n  resources: { pids: 5 }\n`
  assert.deepEqual(linesOf(text), [
    '6:3 /spec/volumes | volumes are mounted into containers; a process of the machine finds its files where it finds them without: leave the field out, or run an `image`',
    '7:3 /spec/security | this is for containers; a process runs as the user that Orchestry runs as: leave the field out, or run an `image`',
    '8:16 /spec/resources/pids | this is for containers; the processes of a process app are not counted: leave it out',
  ])
})

test('of several ports the first that speaks HTTP takes the traffic', () => {
  const portOf = (ports: string) => {
    const { app } = parseSpec(`${head}spec: { image: a, ports: [${ports}] }\n`)
    const { containerPort, ports: all } = startRequest('shop-1', 'v', app, { replicas: 1, secretOf: () => undefined })
    return [containerPort, all?.length]
  }
  assert.deepEqual(
    portOf('{ containerPort: 9000, protocol: TCP }, { containerPort: 80 }, { containerPort: 81 }'),
    [80, 3],
  )
  assert.deepEqual(portOf('{ containerPort: 9000, protocol: TCP }'), [9000, 1])
})

test('another volume, user or bound is another version; the order of capabilities is not', async () => {
  const { versionOf } = await import('../../runtime/apps/version.ts')
  const version = (fields: string) => versionOf(parseSpec(image(fields)).app)
  const versions = [
    '',
    'resources: { pids: 9 }',
    'volumes: [a:/a]',
    'volumes: [a:/a:ro]',
    'user: 1',
    'read_only: false',
  ].map(version)
  assert.equal(new Set(versions).size, versions.length)
  assert.equal(version('capabilities: [KILL, CHOWN]'), version('capabilities: [CHOWN, KILL, CHOWN]'))
  assert.equal(version('security: {}\nvolumes: []'), version(''))
})
