/** From all upstreams to the configuration of nginx. Pure: the same upstreams and settings make the same text. */
import type { Upstream } from '@orchestry/sdk'
import { answerWith, noEndpoint } from './problem-body.ts'
import { type RoutedApp, type Server, serversOf } from './servers.ts'
import type { Settings } from './settings.ts'
import { appName, endpointAddress, ipAddress, pathPrefix, portNumber, systemPath, wholeNumber } from './tokens.ts'

export interface Rendered {
  /** What nginx is to read. */
  readonly text: string
  /** The same as a configuration that stands alone, for nginx to test. */
  readonly candidate: string
  /** Of exactly this text: nginx shows it where it is live. */
  readonly id: string
}

const idPlace = '@generation@'
const zoneKbPerPeers = 64
const peersPerZone = 40
/** No status that an app would answer with; it only leads to another location. */
const closingStatus = 597
/** Whoever tests a configuration need not be allowed to listen where it will be. */
const unprivilegedPort = 65_534

export function render(upstreams: Iterable<Upstream>, settings: Settings): Rendered {
  const all = [...upstreams].sort((a, b) => (a.app < b.app ? -1 : 1))
  const place = placeOf(settings)
  const text = textOf(all, settings, place)
  const id = idOf(text)
  const asLive = text.replaceAll(idPlace, id)
  if (settings.existing === undefined) return { text: asLive, candidate: asLive, id }
  const port = Math.max(settings.port, 1024) === settings.port ? settings.port : unprivilegedPort
  const alone = { ...place, isAlone: true, accessLog: 'access.log' }
  return { text: asLive, candidate: textOf(all, { ...settings, port }, alone).replaceAll(idPlace, id), id }
}

/** The flag that makes every answer of this generation the last one on its connection. */
export const closingFile = (id: string): string => `closing-${id}`

/** Where the configuration stands: as that of an nginx of its own, or among others in one that is there. */
interface Place {
  readonly isAlone: boolean
  /** In front of flag files. */
  readonly flags: string
  readonly accessLog: string
}

function placeOf({ existing }: Settings): Place {
  if (existing === undefined) return { isAlone: true, flags: '', accessLog: 'access.log' }
  const flags = `${systemPath(existing.dir)}/`
  return { isAlone: false, flags, accessLog: `${systemPath(existing.logDir)}/orchestry-access.log` }
}

function textOf(all: readonly Upstream[], settings: Settings, place: Place): string {
  const byApp = new Map(all.map((upstream) => [upstream.app, upstream]))
  const own = ruleLines(settings, place)
  // Among others it must neither set what they set nor depend on it.
  const [shared, each] = place.isAlone ? [own, []] : [[], own]
  const lines = [
    "log_format orchestry '$msec|$orchestry_app|$status|$upstream_header_time|$request_time|$upstream_addr|$upstream_status';",
    'map $http_upgrade $orchestry_connection { default upgrade; "" ""; }',
    ...shared,
    '',
    ...all.flatMap(upstreamOf(settings)),
    ...serversOf(all).flatMap((server) => serverOf(server, { settings, place, byApp, rules: each })),
    ...statusServer(settings),
  ]
  const note = '# Written by Orchestry. Changes made here are lost.'
  if (!place.isAlone) return [note, ...lines, ''].join('\n')
  const body = lines.map((line) => (line === '' ? '' : `  ${line}`))
  return [note, ...mainLines(settings), 'http {', ...hashLines, ...body, '}', ''].join('\n')
}

function mainLines({ workers, connections, drainSeconds }: Settings): string[] {
  return [
    'daemon off;',
    'pid nginx.pid;',
    'error_log stderr warn;',
    `worker_processes ${wholeNumber(workers)};`,
    `worker_shutdown_timeout ${wholeNumber(drainSeconds)}s;`,
    `events { worker_connections ${wholeNumber(connections)}; }`,
    '',
  ]
}

const hashLines = [
  ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${kind}_temp;`),
  '  server_names_hash_bucket_size 512;',
  '  server_names_hash_max_size 8192;',
  '  variables_hash_max_size 8192;',
  '  map_hash_bucket_size 128;',
]

/** How requests are read, passed on and repeated, in every server alike. */
function ruleLines({ maxBodyMb, connectSeconds, answerSeconds }: Settings, { accessLog }: Place): string[] {
  return [
    `access_log ${accessLog} orchestry buffer=32k flush=500ms;`,
    'log_not_found off;',
    'server_tokens off;',
    'underscores_in_headers off;',
    'merge_slashes off;',
    'absolute_redirect off;',
    'tcp_nodelay on;',
    'sendfile off;',
    'keepalive_timeout 75s;',
    'keepalive_requests 1000000;',
    'client_header_timeout 30s;',
    `client_body_timeout ${wholeNumber(answerSeconds)}s;`,
    `send_timeout ${wholeNumber(answerSeconds)}s;`,
    `client_max_body_size ${wholeNumber(maxBodyMb)}m;`,
    'large_client_header_buffers 4 16k;',
    'proxy_http_version 1.1;',
    `proxy_connect_timeout ${wholeNumber(connectSeconds)}s;`,
    `proxy_read_timeout ${wholeNumber(answerSeconds)}s;`,
    `proxy_send_timeout ${wholeNumber(answerSeconds)}s;`,
    'proxy_buffering off;',
    'proxy_request_buffering off;',
    'proxy_max_temp_file_size 0;',
    'proxy_buffer_size 16k;',
    'proxy_buffers 8 16k;',
    'proxy_next_upstream error timeout;',
    'proxy_next_upstream_tries 4;',
    'proxy_next_upstream_timeout 10s;',
    ...forwarded,
    ...forgeable.map((name) => `proxy_set_header ${name} "";`),
  ]
}

const forwarded = [
  'proxy_set_header Host $http_host;',
  'proxy_set_header Connection $orchestry_connection;',
  'proxy_set_header Upgrade $http_upgrade;',
  'proxy_set_header X-Forwarded-For $remote_addr;',
  'proxy_set_header X-Forwarded-Proto $scheme;',
  'proxy_set_header X-Forwarded-Host $http_host;',
  'proxy_set_header X-Forwarded-Prefix $orchestry_prefix;',
]
/** What only a proxy may say of a client; nginx can drop a field by its name only. */
const forgeable = [
  ...['Port', 'Server', 'Ssl', 'Scheme', 'Protocol', 'By', 'Uri', 'Path', 'Method', 'User', 'Email', 'Groups'].map(
    (name) => `X-Forwarded-${name}`,
  ),
  ...['X-Forwarded-Preferred-Username', 'X-Forwarded-Access-Token', 'X-Forwarded-Client-Cert', 'X-Forwarded'],
  ...['Forwarded', 'X-Real-IP', 'TE', 'Trailer', 'Proxy-Connection', 'Proxy-Authorization'],
]

const group = (app: string) => `orchestry_${appName(app)}`
/** Names have no underscore, so no two of them become one. */
const restOf = (app: string) => `$rest_${appName(app).replaceAll('-', '_')}`

const upstreamOf =
  ({ keepIdleSeconds }: Settings) =>
  ({ app, route, endpoints }: Upstream): string[] => {
    const path = pathPrefix(route.path)
    const prefix = path.slice(0, -1).replaceAll('.', '\\.')
    const map = path === '/' ? [] : [`map $request_uri ${restOf(app)} { default ""; "~^${prefix}(/.*)$" $1; }`]
    if (endpoints.length === 0) return [...map, '']
    const zoneKb = zoneKbPerPeers * Math.ceil(endpoints.length / peersPerZone)
    const addresses = endpoints.map(endpointAddress).sort()
    return [
      ...map,
      `upstream ${group(app)} {`,
      `  zone ${group(app)} ${zoneKb}k;`,
      '  least_conn;',
      ...[...new Set(addresses)].map((address) => `  server ${address} max_fails=1 fail_timeout=1s;`),
      '  keepalive 64;',
      '  keepalive_requests 1000000;',
      `  keepalive_timeout ${wholeNumber(keepIdleSeconds)}s;`,
      '}',
      '',
    ]
  }

interface Around {
  readonly settings: Settings
  readonly place: Place
  readonly byApp: ReadonlyMap<string, Pick<Upstream, 'endpoints'>>
  readonly rules: readonly string[]
}

function serverOf({ host, apps }: Server, { settings, place, byApp, rules }: Around): string[] {
  const listen = `${ipAddress(settings.host)}:${portNumber(settings.port)}`
  const { flags } = place
  return [
    'server {',
    `  listen ${listen}${host === undefined ? ' default_server' : ''};`,
    ...(host === undefined ? [] : [`  server_name ${host};`]),
    '  set $orchestry_app "";',
    '  set $orchestry_prefix "";',
    '  default_type application/problem+json;',
    ...rules.map((line) => `  ${line}`),
    ...apps.flatMap((routed) => locationsOf(routed, byApp.get(routed.app)?.endpoints.length ?? 0, flags)),
    ...(apps.some(({ path }) => path === '/')
      ? []
      : [`location / { ${answerWith('noRoute', 'No app has this route.')} }`].map((line) => `  ${line}`)),
    ...[
      `location @failed { ${answerWith('failed', 'No replica of the app gave a valid answer.')} }`,
      `location @slow { ${answerWith('slow', 'No replica of the app answered in time.')} }`,
      `location @invalid { ${answerWith('invalid', 'The request cannot be forwarded.')} }`,
    ].map((line) => `  ${line}`),
    '  error_page 400 = @invalid;',
    '}',
    '',
  ]
}

function locationsOf({ app, path }: RoutedApp, endpoints: number, flags: string): string[] {
  const redirect = path === '/' ? [] : [`location = ${path.slice(0, -1)} { return 308 ${path}$is_args$args; }`]
  const place = `set $orchestry_app ${appName(app)};`
  if (endpoints === 0)
    return [...redirect, `location ${path} { ${place} add_header Retry-After 1 always; ${noEndpoint(app)} }`].map(
      (line) => `  ${line}`,
    )
  const closing = `@closing_${appName(app)}`
  const errors = 'error_page 502 = @failed; error_page 504 = @slow; error_page 400 = @invalid;'
  // Only what is on its way can be asked for the flag, so the last answer on a connection is a whole one.
  const whenClosing = `error_page ${closingStatus} = ${closing}; if (-f ${flags}${closingFile(idPlace)}) { return ${closingStatus}; }`
  return [
    ...redirect,
    `location ${path} {`,
    `  ${whenClosing}`,
    ...forwardTo(app, path).map((line) => `  ${line}`),
    `  ${errors}`,
    '}',
    `location ${closing} {`,
    '  keepalive_timeout 0;',
    ...forwardTo(app, path).map((line) => `  ${line}`),
    `  ${errors}`,
    '}',
  ].map((line) => `  ${line}`)
}

/** The path goes on as the client wrote it: what stands in its encoding is the app's to read. */
function forwardTo(app: string, path: string): string[] {
  const place = `set $orchestry_app ${appName(app)};`
  if (path === '/') return [place, `proxy_pass http://${group(app)}$request_uri;`, 'proxy_redirect off;']
  const prefix = path.slice(0, -1)
  const rest = restOf(app)
  const hosts = ['http', 'https'].flatMap((scheme) => [
    `proxy_redirect ${scheme}://$http_host${path} ${scheme}://$http_host${path};`,
    `proxy_redirect ${scheme}://$http_host/ ${scheme}://$http_host${path};`,
  ])
  return [
    place,
    `set $orchestry_prefix ${prefix};`,
    // Another spelling of the prefix, such as an encoded one, leads nowhere.
    `if (${rest} = "") { ${answerWith('noRoute', 'No app has this route.')} }`,
    `proxy_pass http://${group(app)}${rest};`,
    ...hosts,
    `proxy_redirect ${path} ${path};`,
    `proxy_redirect ~^${prefix.replaceAll('.', '\\.')}$ ${prefix};`,
    `proxy_redirect ~^/(?!/)(.*)$ ${path}$1;`,
  ]
}

function statusServer({ statusPort }: Settings): string[] {
  return [
    'server {',
    `  listen 127.0.0.1:${portNumber(statusPort)};`,
    '  access_log off;',
    '  keepalive_timeout 0;',
    '  default_type text/plain;',
    `  location = /generation { return 200 ${idPlace}; }`,
    '  location / { return 404; }',
    '}',
  ]
}

/** Two halves of 53 bits: enough to tell texts apart that nobody makes to look alike. */
function idOf(text: string): string {
  return [1, 2].map((seed) => hash(text, seed).toString(16).padStart(14, '0')).join('')
}

function hash(text: string, seed: number): number {
  let a = 0xdeadbeef ^ seed
  let b = 0x41c6ce57 ^ seed
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    a = Math.imul(a ^ code, 2654435761)
    b = Math.imul(b ^ code, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return 4294967296 * (2097151 & b) + (a >>> 0)
}
