import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSpec } from '../../runtime/apps/spec.ts'
import { head, problemsOf, run } from './spec-cases.ts'

const named = (name: string) => `apiVersion: v1\nkind: App\nmetadata: { name: ${name} }\n${run}`
const indented = (text: string) => text.replaceAll('\n', '\n  ')
const spec = (fields: string) => `${head}spec:\n  ${indented(fields)}\n`
const more = (text: string) => `${head}${run}${text}\n`
const scaling = (fields: string) => more(`scaling:\n  ${indented(fields)}`)
const aName =
  'expected a name (not a path): 1 to 63 lower-case letters, digits and hyphens, the first and last of them a letter or digit'
const aVariable =
  'expected the name of an environment variable: letters, digits, `_`, `.` and `-`, not beginning with a digit'

/** What is wrong, the text, what is said of it (line:column path | message), and the drivers there are. */
const invalid: [title: string, text: string, lines: string[], drivers?: string[]][] = [
  [
    'an empty mapping',
    '{}',
    [
      '1:1 /apiVersion | `apiVersion` is missing; expected `v1` (the version of this grammar)',
      '1:1 /kind | `kind` is missing; expected `App` (what is described)',
      '1:1 /metadata | `metadata` is missing; expected a mapping with the name of the app',
      '1:1 /spec | `spec` is missing; expected a mapping that says how to run the app',
    ],
  ],
  ['a list', '- 1', ['1:1 / | expected a mapping with apiVersion, kind, metadata and spec, found a list']],
  ['a text', 'hello', ['1:1 / | expected a mapping with apiVersion, kind, metadata and spec, found "hello"']],
  [
    'another version',
    `apiVersion: v2\nkind: App\nmetadata: { name: shop }\n${run}`,
    ['1:13 /apiVersion | expected `v1` (the version of this grammar), found "v2"; did you mean `v1`?'],
  ],
  [
    'another kind',
    `apiVersion: v1\nkind: Worker\nmetadata: { name: shop }\n${run}`,
    ['2:7 /kind | expected `App` (what is described), found "Worker"'],
  ],
  [
    'a misspelt kind',
    `apiVersion: v1\nkind: app\nmetadata: { name: shop }\n${run}`,
    ['2:7 /kind | expected `App` (what is described), found "app"; did you mean `App`?'],
  ],
  [
    'apiVersion as a number',
    `apiVersion: 1\nkind: App\nmetadata: { name: shop }\n${run}`,
    ['1:13 /apiVersion | expected `v1` (the version of this grammar), found 1'],
  ],
  [
    'metadata that is a text',
    `apiVersion: v1\nkind: App\nmetadata: shop\n${run}`,
    ['3:11 /metadata | expected a mapping with the name of the app, found "shop"'],
  ],
  [
    'no name',
    `apiVersion: v1\nkind: App\nmetadata: {}\n${run}`,
    [`3:1 /metadata/name | \`name\` is missing; ${aName}`],
  ],
  ['a name that climbs', named('../x'), [`3:19 /metadata/name | ${aName}, found "../x"`]],
  ['a name with a slash', named('a/b'), [`3:19 /metadata/name | ${aName}, found "a/b"`]],
  ['a name in capitals', named('Shop'), [`3:19 /metadata/name | ${aName}, found "Shop"`]],
  ['a name with a space', named('"a b"'), [`3:19 /metadata/name | ${aName}, found "a b"`]],
  ['a name that begins with a hyphen', named('"-a"'), [`3:19 /metadata/name | ${aName}, found "-a"`]],
  ['a name that ends with a hyphen', named('a-'), [`3:19 /metadata/name | ${aName}, found "a-"`]],
  ['an empty name', named('""'), [`3:19 /metadata/name | ${aName}, found ""`]],
  [
    'a name of 64 characters',
    named('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'),
    [`3:19 /metadata/name | ${aName}, found "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`],
  ],
  ['a name with a newline behind it', named('"a\\n"'), [`3:19 /metadata/name | ${aName}, found "a\\n"`]],
  ['a name with a NUL', named('"a\\0"'), [`3:19 /metadata/name | ${aName}, found "a\\u0000"`]],
  ['an absolute path as name', named('/etc/passwd'), [`3:19 /metadata/name | ${aName}, found "/etc/passwd"`]],
  ['a name with a dot', named('a.b'), [`3:19 /metadata/name | ${aName}, found "a.b"`]],
  [
    'labels as a list',
    named('a, labels: [x]'),
    [
      '3:30 /metadata/labels | expected a mapping of names (letters, digits, `.`, `_`, `-` and `/`) to texts, at most 64, found a list',
    ],
  ],
  [
    'a label with a bad name',
    `apiVersion: v1\nkind: App\nmetadata:\n  name: a\n  labels:\n    "a b": x\n${run}`,
    [
      '6:5 /metadata/labels/a b | `a b` cannot be a name here; expected a mapping of names (letters, digits, `.`, `_`, `-` and `/`) to texts, at most 64',
    ],
  ],
  [
    'a label that is a mapping',
    `apiVersion: v1\nkind: App\nmetadata:\n  name: a\n  labels:\n    a: { b: c }\n${run}`,
    ['6:8 /metadata/labels/a | expected the text of a label, at most 256 characters, found a mapping'],
  ],
  ['no spec', head, ['1:1 /spec | `spec` is missing; expected a mapping that says how to run the app']],
  [
    'an empty spec',
    `${head}spec: {}`,
    ['4:7 /spec | `command` (to run a process on this machine) or `image` (to run a container) is missing'],
  ],
  [
    'a spec without a value',
    `${head}spec:\n`,
    ['4:6 /spec | expected a mapping that says how to run the app, found nothing'],
  ],
  [
    'nothing to run',
    spec('env: []'),
    ['5:3 /spec | `command` (to run a process on this machine) or `image` (to run a container) is missing'],
  ],
  [
    'only args',
    spec('args: [a]'),
    ['5:3 /spec | `command` (to run a process on this machine) or `image` (to run a container) is missing'],
  ],
  ['a misspelt field', spec('comand: [a]'), ['5:3 /spec/comand | unknown field `comand`; did you mean `command`?']],
  [
    'a field from elsewhere',
    spec('command: [a]\nhealthCheck: { path: /x }'),
    ['6:3 /spec/healthCheck | unknown field `healthCheck`; it belongs at `/healthCheck`, not here'],
  ],
  [
    'a field from deeper',
    more('command: [a]'),
    ['5:1 /command | unknown field `command`; it belongs at `/spec/command`, not here'],
  ],
  [
    'an unknown field',
    more('foo: 1'),
    [
      '5:1 /foo | unknown field `foo`; known here: apiVersion, kind, metadata, spec, ingress, scaling, healthCheck, rollout',
    ],
  ],
  [
    'an unknown field with an odd name',
    more('"a/b~c": 1'),
    [
      '5:1 /a~1b~0c | unknown field `a/b~c`; known here: apiVersion, kind, metadata, spec, ingress, scaling, healthCheck, rollout',
    ],
  ],
  [
    'capitals gone',
    more('healthcheck: {}'),
    ['5:1 /healthcheck | unknown field `healthcheck`; did you mean `healthCheck`?'],
  ],
  [
    'a command as a text',
    spec('command: node server.js'),
    [
      '5:12 /spec/command | expected the command as a list of arguments, such as [node, server.js] (at most 256), found "node server.js"',
    ],
  ],
  [
    'a command with nothing in it',
    spec('command: []'),
    ['5:12 /spec/command | `command` is missing; the driver `process` needs it'],
  ],
  [
    'an empty argument',
    spec('command: [""]'),
    ['5:13 /spec/command/0 | expected one argument of the command, found ""'],
  ],
  [
    'a command with a NUL',
    spec('command: ["a\\0b"]'),
    ['5:13 /spec/command/0 | expected one argument of the command, found "a\\u0000b"'],
  ],
  [
    'a command with null in it',
    spec('command: [a, ]\nargs: [~]'),
    ['6:10 /spec/args/0 | expected one argument, found nothing'],
  ],
  [
    'a relative working directory',
    spec('command: [a]\nworkingDir: ./x'),
    ['6:15 /spec/workingDir | expected the absolute path of a directory, found "./x"'],
  ],
  [
    'an image with spaces',
    spec('image: a b\nports: [{ containerPort: 1 }]'),
    [
      '5:10 /spec/image | expected an image reference such as `registry.example/team/shop:1.4`, all of it but the tag in lower case, found "a b"',
    ],
  ],
  [
    'an image with a script',
    spec('image: "$(x)"\nports: [{ containerPort: 1 }]'),
    [
      '5:10 /spec/image | expected an image reference such as `registry.example/team/shop:1.4`, all of it but the tag in lower case, found "$(x)"',
    ],
  ],
  [
    'an image without ports',
    spec('image: a:1'),
    [
      '4:1 /spec/ports | `ports` is missing; expected the port that the image listens on, such as [{ containerPort: 8080 }]',
    ],
  ],
  [
    'process with an image',
    spec('image: a:1\ncommand: [a]\ndriver: process'),
    ['5:3 /spec/image | the driver `process` runs a command and takes no image'],
  ],
  [
    'docker without an image',
    spec('command: [a]\ndriver: docker'),
    [
      '4:1 /spec/image | `image` is missing; the driver `docker` needs it',
      '4:1 /spec/ports | `ports` is missing; expected the port that the image listens on, such as [{ containerPort: 8080 }]',
    ],
  ],
  [
    'process without a command',
    spec('driver: process'),
    ['4:1 /spec/command | `command` is missing; the driver `process` needs it'],
  ],
  [
    'swarm without anything',
    spec('driver: swarm'),
    [
      '4:1 /spec/image | `image` is missing; the driver `swarm` needs it',
      '4:1 /spec/ports | `ports` is missing; expected the port that the image listens on, such as [{ containerPort: 8080 }]',
    ],
  ],
  [
    'a driver that is not there',
    spec('command: [a]\ndriver: podman'),
    ['6:11 /spec/driver | expected a driver that is there (`process` or `memory`), found "podman"'],
    ['process', 'memory'],
  ],
  [
    'a misspelt driver',
    spec('command: [a]\ndriver: proces'),
    ['6:11 /spec/driver | expected a driver that is there (`process`), found "proces"; did you mean `process`?'],
    ['process'],
  ],
  [
    'an image where there is no docker',
    spec('image: a:1\nports: [{ containerPort: 1 }]'),
    ['5:10 /spec/image | an image is run by the driver `docker`, which is not there; there is `process`'],
    ['process'],
  ],
  [
    'a driver with an odd name',
    spec('command: [a]\ndriver: ../x'),
    ['6:11 /spec/driver | expected the name of a driver such as `process` or `docker`, found "../x"'],
  ],
  [
    'env as a mapping',
    spec('command: [a]\nenv: { A: b }'),
    ['6:8 /spec/env | expected environment variables as a list of { name, value } (at most 256), found a mapping'],
  ],
  [
    'env without a name',
    spec('command: [a]\nenv:\n  - value: a'),
    [`7:7 /spec/env/0/name | \`name\` is missing; ${aVariable}`],
  ],
  [
    'env with a bad name',
    spec('command: [a]\nenv:\n  - { name: 1A, value: a }'),
    [`7:15 /spec/env/0/name | ${aVariable}, found "1A"`],
  ],
  [
    'env with a name and = in it',
    spec('command: [a]\nenv:\n  - { name: "A=B", value: a }'),
    [`7:15 /spec/env/0/name | ${aVariable}, found "A=B"`],
  ],
  [
    'env without a value',
    spec('command: [a]\nenv:\n  - name: A'),
    ['7:7 /spec/env/0 | expected one of `value`, `secret` and `field`, found none'],
  ],
  [
    'env with two values',
    spec('command: [a]\nenv:\n  - { name: A, value: a, secret: b }'),
    ['7:7 /spec/env/0 | expected one of `value`, `secret` and `field`, found `value` and `secret`'],
  ],
  [
    'an unknown env field',
    spec('command: [a]\nenv:\n  - { name: A, field: instance.name }'),
    [
      '7:25 /spec/env/0/field | expected `instance.ip`, `instance.port`, `app.name` or `app.replicas` (a fact that Orchestry fills in), found "instance.name"; did you mean `instance.ip`?',
    ],
  ],
  [
    'env with a NUL',
    spec('command: [a]\nenv:\n  - { name: A, value: "a\\0" }'),
    ['7:25 /spec/env/0/value | expected a text of at most 32768 characters, found "a\\u0000"'],
  ],
  [
    'env with a mapping as value',
    spec('command: [a]\nenv:\n  - { name: A, value: { a: b } }'),
    ['7:25 /spec/env/0/value | expected a text of at most 32768 characters, found a mapping'],
  ],
  [
    'an env entry that is a text',
    spec('command: [a]\nenv:\n  - A=b'),
    ['7:7 /spec/env/0 | expected an entry { name, value } or { name, secret } or { name, field }, found "A=b"'],
  ],
  [
    'env twice',
    spec('command: [a]\nenv:\n  - { name: A, value: a }\n  - { name: B, value: a }\n  - { name: A, value: b }'),
    ['9:15 /spec/env/2/name | `A` is given twice; first as /spec/env/0'],
  ],
  [
    'PORT set by hand',
    spec('command: [a]\nenv:\n  - { name: PORT, value: 80 }'),
    ['7:15 /spec/env/0/name | `PORT` is chosen by Orchestry for every replica; leave it out'],
  ],
  [
    'an env source of another kind',
    spec('command: [a]\nenv:\n  - { name: A, source: vault, key: x }'),
    ['7:26 /spec/env/0/source | expected `sdk` or `secret`, found "vault"'],
  ],
  [
    'an env source without a key',
    spec('command: [a]\nenv:\n  - { name: A, source: sdk }'),
    ['7:18 /spec/env/0/source | `source: sdk` needs a `key`'],
  ],
  [
    'an env source of a fact that is not there',
    spec('command: [a]\nenv:\n  - { name: A, source: sdk, key: instance.name }'),
    [
      '7:36 /spec/env/0/key | expected `instance.ip`, `instance.port`, `app.name` or `app.replicas` (a fact that Orchestry fills in), found "instance.name"; did you mean `instance.ip`?',
    ],
  ],
  [
    'env with a key and a field',
    spec('command: [a]\nenv:\n  - { name: A, source: sdk, key: app.name, field: app.name }'),
    ['7:31 /spec/env/0/key | `key` and `field` say the same; give one of them'],
  ],
  [
    'a port that is too high',
    spec('command: [a]\nports: [{ containerPort: 65536 }]'),
    ['6:28 /spec/ports/0/containerPort | expected a port: a whole number from 1 to 65535, found 65536'],
  ],
  [
    'a port as a text',
    spec('command: [a]\nports: [{ containerPort: "80" }]'),
    ['6:28 /spec/ports/0/containerPort | expected a port: a whole number from 1 to 65535, found "80"'],
  ],
  [
    'a port with a fraction',
    spec('command: [a]\nports: [{ containerPort: 80.5 }]'),
    ['6:28 /spec/ports/0/containerPort | expected a port: a whole number from 1 to 65535, found 80.5'],
  ],
  [
    'a port without a number',
    spec('command: [a]\nports: [{ name: web }]'),
    ['6:11 /spec/ports/0/containerPort | `containerPort` is missing; expected a port: a whole number from 1 to 65535'],
  ],
  [
    'an unknown port protocol',
    spec('command: [a]\nports: [{ containerPort: 80, protocol: udp }]'),
    ['6:42 /spec/ports/0/protocol | expected `HTTP` or `TCP` (what is spoken on the port), found "udp"'],
  ],
  [
    'a port protocol in small letters',
    spec('command: [a]\nports: [{ containerPort: 80, protocol: http }]'),
    [
      '6:42 /spec/ports/0/protocol | expected `HTTP` or `TCP` (what is spoken on the port), found "http"; did you mean `HTTP`?',
    ],
  ],
  [
    'ports twice',
    spec('command: [a]\nports: [{ containerPort: 80, name: a }, { containerPort: 80, name: a }]'),
    [
      '6:60 /spec/ports/1/containerPort | 80 is given twice; first as /spec/ports/0',
      '6:70 /spec/ports/1/name | "a" is given twice; first as /spec/ports/0',
    ],
  ],
  [
    'cpu in no unit',
    spec('command: [a]\nresources: { cpu: 1x }'),
    ['6:21 /spec/resources/cpu | expected cores of CPU from `1m` to `1024`, such as `500m` or `0.5`, found "1x"'],
  ],
  [
    'no cpu at all',
    spec('command: [a]\nresources: { cpu: 0 }'),
    ['6:21 /spec/resources/cpu | expected cores of CPU from `1m` to `1024`, such as `500m` or `0.5`, found 0'],
  ],
  [
    'cpu below zero',
    spec('command: [a]\nresources: { cpu: -1 }'),
    ['6:21 /spec/resources/cpu | expected cores of CPU from `1m` to `1024`, such as `500m` or `0.5`, found -1'],
  ],
  [
    'cpu as a list',
    spec('command: [a]\nresources: { cpu: [1] }'),
    ['6:21 /spec/resources/cpu | expected cores of CPU such as `500m`, `0.5` or `2`, found a list'],
  ],
  [
    'memory in megabytes',
    spec('command: [a]\nresources: { memory: 512MB }'),
    [
      '6:24 /spec/resources/memory | expected memory from `4Mi`, such as `512Mi`, `512M` or `1.5Gi`, found "512MB"; did you mean `512M`?',
    ],
  ],
  [
    'memory in millibytes',
    spec('command: [a]\nresources: { memory: 512m }'),
    [
      '6:24 /spec/resources/memory | expected memory from `4Mi`, such as `512Mi`, `512M` or `1.5Gi`, found "512m"; did you mean `512Mi`? (`m` is a thousandth of a byte)',
    ],
  ],
  [
    'memory in small letters',
    spec('command: [a]\nresources: { memory: 1gi }'),
    [
      '6:24 /spec/resources/memory | expected memory from `4Mi`, such as `512Mi`, `512M` or `1.5Gi`, found "1gi"; did you mean `1Gi`?',
    ],
  ],
  [
    'memory that is too small',
    spec('command: [a]\nresources: { memory: 1Ki }'),
    ['6:24 /spec/resources/memory | expected memory from `4Mi`, such as `512Mi`, `512M` or `1.5Gi`, found "1Ki"'],
  ],
  [
    'memory as a word',
    spec('command: [a]\nresources: { memory: lots }'),
    ['6:24 /spec/resources/memory | expected memory from `4Mi`, such as `512Mi`, `512M` or `1.5Gi`, found "lots"'],
  ],
  [
    'requests and limits',
    spec('command: [a]\nresources: { limits: { cpu: 1 } }'),
    [
      '6:16 /spec/resources/limits | unknown field `limits`: write `resources: { cpu: 500m, memory: 512Mi, pids: 256 }`',
    ],
  ],
  [
    'a type that is not http',
    spec('command: [a]\ntype: tcp'),
    ['6:3 /spec/type | only `http` apps are run; leave the field out (found "tcp")'],
  ],
  [
    'a restart policy',
    spec('command: [a]\nrestartPolicy: Never'),
    [
      '6:3 /spec/restartPolicy | a replica that ends is always replaced; expected `Always`, or leave the field out (found "Never")',
    ],
  ],
  [
    'a host with a port',
    more('ingress: { host: "a.example:80" }'),
    ['5:18 /ingress/host | expected a host name in lower case, without scheme and port, found "a.example:80"'],
  ],
  [
    'a host in capitals',
    more('ingress: { host: A.example }'),
    ['5:18 /ingress/host | expected a host name in lower case, without scheme and port, found "A.example"'],
  ],
  [
    'a host with a scheme',
    more('ingress: { host: "http://a" }'),
    ['5:18 /ingress/host | expected a host name in lower case, without scheme and port, found "http://a"'],
  ],
  [
    'a host with a newline',
    more('ingress: { host: "a\\n" }'),
    ['5:18 /ingress/host | expected a host name in lower case, without scheme and port, found "a\\n"'],
  ],
  [
    'a path without a slash',
    more('ingress: { path: shop }'),
    [
      '5:18 /ingress/path | expected a path prefix that begins with `/`, without `//`, `..`, spaces and query, found "shop"',
    ],
  ],
  [
    'a path that climbs',
    more('ingress: { path: /a/../b }'),
    [
      '5:18 /ingress/path | expected a path prefix that begins with `/`, without `//`, `..`, spaces and query, found "/a/../b"',
    ],
  ],
  [
    'a path with two slashes',
    more('ingress: { path: /a//b }'),
    [
      '5:18 /ingress/path | expected a path prefix that begins with `/`, without `//`, `..`, spaces and query, found "/a//b"',
    ],
  ],
  [
    'a letter that is escaped',
    more('ingress: { path: /%61 }'),
    [
      '5:18 /ingress/path | expected a path in which only what is not ASCII is written as `%XX`, in capitals, found `%61` in "/%61"',
    ],
  ],
  [
    'an escape in small letters',
    more('ingress: { path: /%C3%a9 }'),
    [
      '5:18 /ingress/path | expected a path in which only what is not ASCII is written as `%XX`, in capitals, found `%a9` in "/%C3%a9"',
    ],
  ],
  [
    'half an escape',
    more('ingress: { path: /a% }'),
    [
      '5:18 /ingress/path | expected a path in which only what is not ASCII is written as `%XX`, in capitals, found `%` in "/a%"',
    ],
  ],
  [
    'a path with a query',
    more('ingress: { path: "/a?b" }'),
    [
      '5:18 /ingress/path | expected a path prefix that begins with `/`, without `//`, `..`, spaces and query, found "/a?b"',
    ],
  ],
  [
    'a path with a space',
    more('ingress: { path: "/a b" }'),
    [
      '5:18 /ingress/path | expected a path prefix that begins with `/`, without `//`, `..`, spaces and query, found "/a b"',
    ],
  ],
  [
    'a path with a newline',
    more('ingress: { path: "/a\\n" }'),
    [
      '5:18 /ingress/path | expected a path prefix that begins with `/`, without `//`, `..`, spaces and query, found "/a\\n"',
    ],
  ],
  [
    'an unknown mode',
    scaling('mode: automatic'),
    [
      '6:9 /scaling/mode | expected `auto` or `manual` (who decides the number of replicas), found "automatic"; did you mean `auto`?',
    ],
  ],
  [
    'a mode that means something',
    scaling('mode: Auto'),
    [
      '6:9 /scaling/mode | expected `auto` or `manual` (who decides the number of replicas), found "Auto"; did you mean `auto`?',
    ],
  ],
  [
    'min above max',
    scaling('minReplicas: 5\nmaxReplicas: 3'),
    ['6:16 /scaling/minReplicas | minReplicas (5) must not be above maxReplicas (3)'],
  ],
  [
    'a max below the default min',
    scaling('maxReplicas: 0'),
    ['6:16 /scaling/maxReplicas | expected the most replicas: a whole number from 1 to 1000, found 0'],
  ],
  [
    'a min below zero',
    scaling('minReplicas: -1'),
    ['6:16 /scaling/minReplicas | expected the fewest replicas: a whole number from 0 to 1000, found -1'],
  ],
  [
    'a min with a fraction',
    scaling('minReplicas: 1.5'),
    ['6:16 /scaling/minReplicas | expected the fewest replicas: a whole number from 0 to 1000, found 1.5'],
  ],
  [
    'a max that is far too high',
    scaling('maxReplicas: 1000000'),
    ['6:16 /scaling/maxReplicas | expected the most replicas: a whole number from 1 to 1000, found 1000000'],
  ],
  [
    'min 0 with the default scalers',
    scaling('minReplicas: 0'),
    [
      '6:16 /scaling/minReplicas | minReplicas 0 needs `mode: manual`, or `scalers` that can wake the app: without replicas there is nothing to measure, so the default scalers would leave it at 0',
    ],
  ],
  [
    'replicas outside the bounds',
    scaling('minReplicas: 2\nmaxReplicas: 4\nreplicas: 5'),
    ['8:13 /scaling/replicas | expected replicas within the bounds 2 to 4, found 5'],
  ],
  [
    'a fallback outside the bounds',
    scaling('fallback: { afterSeconds: 60, replicas: 11 }'),
    ['6:43 /scaling/fallback/replicas | expected replicas within the bounds 1 to 10, found 11'],
  ],
  [
    'a fallback without a time',
    scaling('fallback: { replicas: 2 }'),
    [
      '6:3 /scaling/fallback/afterSeconds | `afterSeconds` is missing; expected how long a scaler may fail before its fallback counts: seconds from 0 to 86400',
    ],
  ],
  [
    'in above out',
    scaling('scaleOutThresholdPct: 60\nscaleInThresholdPct: 70'),
    ['7:24 /scaling/scaleInThresholdPct | scaleInThresholdPct (70) must be below scaleOutThresholdPct (60)'],
  ],
  [
    'in equal to out',
    scaling('scaleInThresholdPct: 80'),
    ['6:24 /scaling/scaleInThresholdPct | scaleInThresholdPct (80) must be below scaleOutThresholdPct (80)'],
  ],
  [
    'out below the default in',
    scaling('scaleOutThresholdPct: 40'),
    ['6:25 /scaling/scaleOutThresholdPct | scaleInThresholdPct (50) must be below scaleOutThresholdPct (40)'],
  ],
  [
    'an unknown target',
    scaling('targets: { cpu: 70 }'),
    ['6:14 /scaling/targets/cpu | unknown field `cpu`; did you mean `cpuPercent`?'],
  ],
  [
    'a target of zero',
    scaling('targets: { rpsPerReplica: 0 }'),
    [
      '6:29 /scaling/targets/rpsPerReplica | expected requests per second and replica: a number above 0, at most 1000000, found 0',
    ],
  ],
  [
    'a target as a text',
    scaling('targets: { cpuPercent: 70% }'),
    [
      '6:26 /scaling/targets/cpuPercent | expected percent of its CPU limit that a replica is meant to use: a number above 0, at most 1000, found "70%"',
    ],
  ],
  [
    'memory above 100 %',
    scaling('targets: { memoryPercent: 101 }'),
    [
      '6:29 /scaling/targets/memoryPercent | expected percent of its memory limit that a replica is meant to use: a number above 0, at most 100, found 101',
    ],
  ],
  [
    'targets as a number',
    scaling('targets: 5\nmaxCPUPercent: 3'),
    ['6:12 /scaling/targets | expected a mapping of targets, found 5'],
  ],
  [
    'a window of nothing',
    scaling('windowSeconds: 0'),
    ['6:18 /scaling/windowSeconds | expected how much of the past the metrics cover: seconds from 1 to 3600, found 0'],
  ],
  [
    'a window that is no number',
    scaling('windowSeconds: .nan'),
    [
      '6:18 /scaling/windowSeconds | expected how much of the past the metrics cover: seconds from 1 to 3600, found NaN',
    ],
  ],
  [
    'a window without end',
    scaling('windowSeconds: .inf'),
    [
      '6:18 /scaling/windowSeconds | expected how much of the past the metrics cover: seconds from 1 to 3600, found Infinity',
    ],
  ],
  [
    'a cooldown as a text',
    scaling('cooldownSeconds: 5s'),
    ['6:20 /scaling/cooldownSeconds | expected seconds, or a mapping { out, in } of seconds, found "5s"'],
  ],
  [
    'a cooldown with an unknown side',
    scaling('cooldownSeconds: { up: 5 }'),
    ['6:22 /scaling/cooldownSeconds/up | unknown field `up`; known here: out, in'],
  ],
  [
    'a cooldown below zero',
    scaling('cooldownSeconds: -1'),
    ['6:20 /scaling/cooldownSeconds | expected the pause after scaling out: seconds from 0 to 86400, found -1'],
  ],
  [
    'one side of a cooldown as a text',
    scaling('cooldownSeconds: { out: soon }'),
    ['6:27 /scaling/cooldownSeconds/out | expected the pause after scaling out: seconds from 0 to 86400, found "soon"'],
  ],
  [
    'no scalers',
    scaling('scalers: []'),
    [
      '6:12 /scaling/scalers | expected different names of scaler plugin instances (1 to 16; leave the field out for the default scalers), found an empty list',
    ],
  ],
  [
    'a scaler twice',
    scaling('scalers: [a, a]'),
    [
      '6:12 /scaling/scalers | expected different names of scaler plugin instances (1 to 16; leave the field out for the default scalers), found a list',
    ],
  ],
  [
    'a policy without a period',
    scaling('behavior: { scaleOut: { policies: [{ type: replicas, value: 1 }] } }'),
    [
      '6:38 /scaling/behavior/scaleOut/policies/0/periodSeconds | `periodSeconds` is missing; expected the period: seconds from 1 to 3600',
    ],
  ],
  [
    'a policy of another type',
    scaling('behavior: { scaleOut: { policies: [{ type: Nodes, value: 1, periodSeconds: 1 }] } }'),
    [
      '6:46 /scaling/behavior/scaleOut/policies/0/type | expected `replicas` or `percent` (what `value` counts), found "Nodes"',
    ],
  ],
  [
    'an unknown select policy',
    scaling('behavior: { scaleIn: { selectPolicy: max } }'),
    [
      '6:40 /scaling/behavior/scaleIn/selectPolicy | expected `Max`, `Min` or `Disabled` (which of several policies counts; Disabled = no change this way), found "max"; did you mean `Max`?',
    ],
  ],
  [
    'scaling as a list',
    more('scaling: [1]'),
    ['5:10 /scaling | expected a mapping that says how to scale, found a list'],
  ],
  [
    'a health check without a value',
    more('healthCheck:'),
    ['5:13 /healthCheck | expected a mapping that says how to probe a replica, found nothing'],
  ],
  [
    'a health path without a slash',
    more('healthCheck: { path: ok }'),
    ['5:22 /healthCheck/path | expected a path that begins with `/`, without spaces, found "ok"'],
  ],
  [
    'a health path with a line break',
    more('healthCheck: { path: "/a\\r\\nX: y" }'),
    ['5:22 /healthCheck/path | expected a path that begins with `/`, without spaces, found "/a\\r\\nX: y"'],
  ],
  [
    'a method in small letters',
    more('healthCheck: { method: get }'),
    ['5:24 /healthCheck/method | expected an HTTP method in capitals such as `GET`, found "get"'],
  ],
  [
    'a header with a line break',
    more('healthCheck: { headers: { A: "b\\r\\nC: d" } }'),
    ['5:30 /healthCheck/headers/A | expected the text of a header, on one line, found "b\\r\\nC: d"'],
  ],
  [
    'a header name with a space',
    more('healthCheck: { headers: { "A b": c } }'),
    [
      '5:27 /healthCheck/headers/A b | `A b` cannot be a name here; expected a mapping of header names (letters, digits and `-`) to texts, at most 32',
    ],
  ],
  [
    'a status that is none',
    more('healthCheck: { expectedStatusCodes: [200, 1000] }'),
    ['5:43 /healthCheck/expectedStatusCodes/1 | expected an HTTP status: a whole number from 100 to 599, found 1000'],
  ],
  [
    'statuses as a text',
    more('healthCheck: { expectedStatusCodes: 2xx }'),
    ['5:37 /healthCheck/expectedStatusCodes | expected HTTP statuses as a list (at most 64), found "2xx"'],
  ],
  [
    'no period',
    more('healthCheck: { periodSeconds: 0 }'),
    ['5:31 /healthCheck/periodSeconds | expected the time from check to check: seconds from 0.1 to 3600, found 0'],
  ],
  [
    'a threshold of zero',
    more('healthCheck: { failureThreshold: 0 }'),
    [
      '5:34 /healthCheck/failureThreshold | expected failures in a row that make a replica unhealthy: a whole number from 1 to 100, found 0',
    ],
  ],
  [
    'a startup without tries',
    more('healthCheck: { startup: { failureThreshold: 0 } }'),
    [
      '5:45 /healthCheck/startup/failureThreshold | expected checks in vain after which a replica that starts is replaced: a whole number from 1 to 100000, found 0',
    ],
  ],
  [
    'a rollout that can never move',
    more('rollout: { maxSurge: 0, maxUnavailable: 0 }'),
    [
      '5:22 /rollout/maxSurge | maxSurge and maxUnavailable are both 0, so no replica could ever be replaced; make one of them at least 1',
    ],
  ],
  [
    'a surge of nothing',
    more('rollout: { maxSurge: 0 }'),
    [
      '5:22 /rollout/maxSurge | maxSurge and maxUnavailable are both 0, so no replica could ever be replaced; make one of them at least 1',
    ],
  ],
  [
    'a rollout whose shares are none',
    more('rollout: { maxSurge: 0%, maxUnavailable: 0% }'),
    [
      '5:22 /rollout/maxSurge | maxSurge and maxUnavailable are both 0, so no replica could ever be replaced; make one of them at least 1',
    ],
  ],
  [
    'a surge above all of them',
    more('rollout: { maxSurge: 125% }'),
    [
      '5:22 /rollout/maxSurge | expected replicas above the wanted number during a rollout: a whole number from 0 to 100, or a share of them such as `25%`, found "125%"',
    ],
  ],
  [
    'an alias and the name it stands for',
    scaling('targetRPSPerReplica: 5\ntargets: { rpsPerReplica: 6 }'),
    [
      '6:3 /scaling/targetRPSPerReplica | `scaling.targetRPSPerReplica` stands for `scaling.targets.rpsPerReplica`, which is given too (line 7); give one of them',
    ],
  ],
  [
    'two aliases of one name',
    scaling('maxCPUPercent: 70\ntargetCPUUtilizationPercentage: 80'),
    [
      '7:3 /scaling/targetCPUUtilizationPercentage | `scaling.targetCPUUtilizationPercentage` stands for `scaling.targets.cpuPercent`, as does `scaling.maxCPUPercent` (line 6); give one of them',
    ],
  ],
  [
    'environment and env',
    spec('command: [a]\nenv: []\nenvironment: []'),
    ['7:3 /spec/environment | `spec.environment` stands for `spec.env`, which is given too (line 6); give one of them'],
  ],
  [
    'an alias with a bad value',
    scaling('targetRPSPerReplica: many'),
    [
      '6:24 /scaling/targetRPSPerReplica | expected requests per second and replica: a number above 0, at most 1000000, found "many"',
    ],
  ],
  [
    'an alias below zero',
    scaling('maxP95LatencyMs: -5'),
    [
      '6:20 /scaling/maxP95LatencyMs | expected milliseconds within which 95 % of requests are answered: a number above 0, at most 600000, found -5',
    ],
  ],
  [
    'a step of nothing',
    scaling('maxScaleOutStep: 0'),
    [
      '6:20 /scaling/maxScaleOutStep | expected the most change within the period: a whole number from 1 to 100000, found 0',
    ],
  ],
  [
    'an entry of environment with a bad name',
    spec('command: [a]\nenvironment:\n  - { name: 1A, value: a }'),
    [`7:15 /spec/environment/0/name | ${aVariable}, found "1A"`],
  ],
  [
    'termination with something else in it',
    spec('command: [a]\ntermination: { drainSeconds: 5, drain: 6 }'),
    ['6:35 /spec/termination/drain | unknown field `drain`; did you mean `drainSeconds`?'],
  ],
  [
    'min and max in a file with aliases',
    scaling('targetRPSPerReplica: 50\nminReplicas: 3\nmaxReplicas: 2'),
    ['7:16 /scaling/minReplicas | minReplicas (3) must not be above maxReplicas (2)'],
  ],
]
for (const [title, text, lines, drivers] of invalid)
  test(`refused with its place: ${title}`, () => {
    const found = problemsOf(() => parseSpec(text, drivers ? { drivers } : {}))
    assert.deepEqual(found.lines, lines)
    assert.equal(found.code, 'ORC_SPEC_INVALID')
  })

const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].reduce((text, name) => {
  const before = String.fromCharCode(name.charCodeAt(0) - 1)
  return `${text}\n${name}: &${name} [${Array(10).fill(`*${before}`).join(', ')}]`
})

const unreadable: [title: string, text: string, lines: string[]][] = [
  ['nothing', '', ['1:1 / | the text is empty; expected an app (apiVersion, kind, metadata, spec)']],
  ['a comment only', '# shop\n', ['1:1 / | the text is empty; expected an app (apiVersion, kind, metadata, spec)']],
  ['a null', '~', ['1:1 / | the text is empty; expected an app (apiVersion, kind, metadata, spec)']],
  [
    'two documents',
    `${head}${run}---\n${head}`,
    ['5:1 / | found the beginning of a second document (`---`); one text describes one app: submit them one by one'],
  ],
  [
    'a key twice',
    'kind: App\napiVersion: v1\nkind: App\n',
    ['3:1 /kind | the key `kind` is given twice; first in line 1'],
  ],
  [
    'a key twice, deep down',
    'a:\n  - b: 1\n    c: 2\n    "b": 3\n',
    ['4:5 /a/0/b | the key `b` is given twice; first in line 2'],
  ],
  ['a key twice in JSON', '{ "a": 1,\n  "a": 2 }', ['2:3 /a | the key `a` is given twice; first in line 1']],
  [
    'two slips on two lines',
    'a: b: c\nd: e: f\n',
    [
      '1:4 / | found a second `: ` on one line; put quotes around a text that holds `: `, or begin a new line',
      '2:4 / | found a second `: ` on one line; put quotes around a text that holds `: `, or begin a new line',
    ],
  ],
  ['a tab', 'a:\n\tb: 1\n', ['2:1 / | found a tab as indentation; expected spaces']],
  ['an open quote', 'a: "b\n', ['2:1 / | this is not YAML: Missing closing "quote']],
  [
    'JSON that ends early',
    '{ "a": [1, 2',
    ['1:13 / | this is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ],
  ['something behind JSON', '{ "a": 1 } x', ['1:12 / | this is not YAML: Unexpected scalar at node end']],
  ['an unknown tag', 'a: !ruby/object:Gem x\n', ['1:4 / | this is not YAML: Unresolved tag: !ruby/object:Gem']],
  [
    'binary data',
    'a: !!binary aGk=\n',
    ['1:13 /a | a value of this kind (hi) is not read; expected a text, number or boolean'],
  ],
  ['an alias without an anchor', 'a: *b\n', ['1:4 /a | the alias `*b` stands before, or without, its anchor `&b`']],
  ['an alias of itself', 'a: &a [*a]\n', ['1:8 /a/0/0/0/0/0/0/0/0 | values are nested deeper than 16 levels']],
  ['a prototype', '__proto__: { a: 1 }\n', ['1:1 /__proto__ | `__proto__` cannot be a key']],
  ['a list as a key', '? [a, b]\n: 1\n', ['1:3 /? | a key must be a plain text']],
  ['brackets 18 deep', deep(18), [`1:18 ${'/0'.repeat(17)} | values are nested deeper than 16 levels`]],
  ['aliases that multiply', bomb, ['1:11 /d/7/0/7/1 | the text holds (or its aliases make) more than 10000 values']],
  [
    'too many values',
    `a: [${'1, '.repeat(10_000)}]`,
    ['1:29999 /a/9998 | the text holds (or its aliases make) more than 10000 values'],
  ],
  [
    'too many bytes',
    `# ${'x'.repeat(128 * 1024)}\n${head}${run}`,
    ['/ | the text has 131162 bytes; at most 131072 are read'],
  ],
]
for (const [title, text, lines] of unreadable)
  test(`unreadable: ${title}`, () => {
    const found = problemsOf(() => parseSpec(text))
    assert.deepEqual(found.lines, lines)
    assert.equal(found.code, 'ORC_SPEC_UNREADABLE')
    assert.match(found.message, /Nothing was stored\.$/)
  })

test('unreadable: brackets so deep that the parser itself gives up', () => {
  const { code, lines } = problemsOf(() => parseSpec(deep(50_000)))
  assert.equal(code, 'ORC_SPEC_UNREADABLE')
  // Where the stack ends is not for a test to know.
  assert.match(lines.join('\n'), /^1:\d+ \/ \| values are nested deeper than 16 levels$/)
})

test('every problem comes at once, in the order of the lines, and the message tells of the first', () => {
  const text = `apiVersion: v1
kind: App
metadata: { name: ../etc }
spec:
  comand: [node]
  resources: { cpu: fast, memory: 512MB }
  env:
    - { name: 1A, value: x }
    - name: B
ingress: { path: shop }
scaling: { minReplicas: 9, maxReplicas: 3, targetRPS: 5 }
healthCheck: { periodSeconds: often }
rollout: { maxSurge: 0 }
`
  const { lines, message } = problemsOf(() => parseSpec(text))
  assert.deepEqual(
    lines.map((line) => line.split(' | ')[0]),
    [
      '3:19 /metadata/name',
      '5:3 /spec/comand',
      '6:21 /spec/resources/cpu',
      '6:35 /spec/resources/memory',
      '8:15 /spec/env/0/name',
      '9:7 /spec/env/1',
      '10:18 /ingress/path',
      '11:25 /scaling/minReplicas',
      '11:44 /scaling/targetRPS',
      '12:31 /healthCheck/periodSeconds',
      '13:22 /rollout/maxSurge',
    ],
  )
  assert.match(
    message,
    /^line 3, column 19, \/metadata\/name: expected a name \(not a path\).*\(the first of 11 problems\)\. Nothing was stored\.$/,
  )
})

test('far more problems than a person reads are cut off', () => {
  const text = more(Array.from({ length: 300 }, (_, index) => `x${index}: 1`).join('\n'))
  const { lines, message } = problemsOf(() => parseSpec(text))
  assert.equal(lines.length, 100)
  assert.match(message, /the first of 300 problems/)
})

test('JSON problems have lines and columns too', () => {
  const text =
    '{\n\t"apiVersion": "v1", "kind": "App",\n\t"metadata": { "name": "shop" },\n\t"spec": { "command": "node" }\n}\n'
  assert.deepEqual(
    problemsOf(() => parseSpec(text)).lines.map((line) => line.split(' | ')[0]),
    ['4:23 /spec/command'],
  )
})

test('the setting of the validator that all rooms share is left as it was', async () => {
  const { Settings } = await import('typebox/system')
  const { maxErrors } = Settings.Get()
  problemsOf(() => parseSpec(more('foo: 1')))
  assert.equal(Settings.Get().maxErrors, maxErrors)
})

test('the worst text that is small enough to be read is refused in less time than comparing all with all would take', () => {
  for (const unit of ['- ', 'a: ', '[', '{a: ', 'a:\n', '&a ', '*a ', '"']) {
    const begin = performance.now()
    problemsOf(() => parseSpec(unit.repeat(Math.floor((128 * 1024) / unit.length))))
    assert.ok(performance.now() - begin < 10_000, `${JSON.stringify(unit)} took ${performance.now() - begin} ms`)
  }
})
