import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { narrowNet } from '../../runtime/capabilities/net-narrow.ts'

const base = { kind: 'net', why: 'test' } as const

/** [what, grant, targets of the trace, what is left of the grant] */
const cases: [string, Partial<GrantOf<'net'>>, string[], Partial<GrantOf<'net'>> | undefined][] = [
  [
    'hosts, methods and paths are those that were used',
    { hosts: ['*.good.test'], methods: ['GET', 'POST'] },
    ['GET https://api.good.test:443/v1/jobs', 'GET https://api.good.test:443/v1/depth'],
    {
      hosts: ['api.good.test'],
      ports: [443],
      schemes: ['https'],
      methods: ['GET'],
      paths: ['/v1/depth', '/v1/jobs'],
      addresses: ['public'],
    },
  ],
  [
    'hosts with ports of their own stay apart',
    { hosts: ['a.test', 'b.test'], schemes: ['http', 'https'], ports: [443, 9090], paths: ['/**'] },
    ['GET https://a.test:443/x', 'GET http://b.test:9090/y'],
    {
      hosts: ['http://b.test:9090', 'https://a.test'],
      ports: [443, 9090],
      schemes: ['http', 'https'],
      methods: ['GET'],
      paths: ['/x', '/y'],
      addresses: ['public'],
    },
  ],
  [
    'a path that cannot be written exactly stays as it was granted',
    { hosts: ['a.test'], paths: ['/v1/*', '/v2/**'] },
    ['GET https://a.test:443/v1/%20', 'GET https://a.test:443/v1/x'],
    {
      hosts: ['a.test'],
      ports: [443],
      schemes: ['https'],
      methods: ['GET'],
      paths: ['/v1/*', '/v1/x'],
      addresses: ['public'],
    },
  ],
  [
    'without granted paths, one that cannot be written exactly leaves them open',
    { hosts: ['a.test'] },
    ['GET https://a.test:443/'],
    { hosts: ['a.test'], ports: [443], schemes: ['https'], methods: ['GET'], addresses: ['public'] },
  ],
  [
    'only instances were used: the hosts go',
    { hosts: ['a.test'], addresses: ['private', 'instances'], maxBodyKb: 0 },
    ['GET http://instances:*/healthz'],
    { schemes: ['http'], methods: ['GET'], paths: ['/healthz'], addresses: ['instances'], maxBodyKb: 0 },
  ],
  [
    'instances were not used: they go',
    { hosts: ['a.test'], addresses: ['private', 'instances'] },
    ['GET https://a.test:443/x'],
    { hosts: ['a.test'], ports: [443], schemes: ['https'], methods: ['GET'], paths: ['/x'], addresses: ['private'] },
  ],
  [
    'what was refused makes nothing wider',
    { hosts: ['a.test'] },
    ['GET http://evil.test:80/', '(more)', ''],
    undefined,
  ],
  ['nothing was used', { hosts: ['a.test'] }, [], undefined],
]
for (const [what, grant, targets, left] of cases)
  test(`narrowing: ${what}`, () =>
    assert.deepEqual(narrowNet({ ...base, ...grant }, targets), left === undefined ? undefined : { ...base, ...left }))
