import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import { isSameScope, widening } from '../../runtime/plugins/widening.ts'

const why = 'reads the queue'
const make = (kind: string) => (fields: object) => ({ kind, why, ...fields }) as CapabilityRecord
const [net, events] = [make('net'), make('events')]
const secret = (mode: string, name = 'a') => make('secrets')({ names: [name], mode })
const apps = (maxReplicas: number, selector?: object) =>
  make('apps')({ scale: { maxReplicas }, ...(selector === undefined ? {} : { selector }) })
const exec = (...args: string[]) => make('exec')({ commands: [{ name: 'run', path: '/bin/run', args }] })
const files = (read: string[], write?: string[]) =>
  make('files')({ roots: [{ name: 'logs', path: '/logs', read, ...(write === undefined ? {} : { write }) }] })

const old = net({ hosts: ['a', 'b'], methods: ['GET'], maxBodyKb: 64 })
const wider: [string, CapabilityRecord[], CapabilityRecord[], string[]][] = [
  ['the same', [old], [old], []],
  ['less', [old], [net({ hosts: ['a'], methods: ['GET'], maxBodyKb: 32 })], []],
  ['another reason', [old], [{ ...old, why: 'other' } as CapabilityRecord], []],
  ['a new kind', [old], [old, { kind: 'kv' }], ['a new capability "kv"']],
  [
    'a new kind, with all that it is to reach',
    [{ kind: 'kv' }],
    [net({ hosts: ['a.test', 'evil.test'], auth: { secret: 's' } })],
    ['a new capability "net" hosts ["a.test","evil.test"] auth {"secret":"s"}'],
  ],
  ['a new host', [old], [net({ hosts: ['a', 'c'], methods: ['GET'], maxBodyKb: 64 })], ['net.hosts: "c"']],
  ['a new method', [old], [net({ hosts: ['a'], methods: ['GET', 'PUT'], maxBodyKb: 64 })], ['net.methods: "PUT"']],
  [
    'a larger limit',
    [old],
    [net({ hosts: ['a'], methods: ['GET'], maxBodyKb: 65 })],
    ['net.maxBodyKb: 65 instead of 64'],
  ],
  ['a host under a granted suffix', [net({ hosts: ['*.a'] })], [net({ hosts: ['x.a', '*.y.a'] })], []],
  ['a host that only ends like it', [net({ hosts: ['*.a'] })], [net({ hosts: ['xa'] })], ['net.hosts: "xa"']],
  [
    'PKG-10: an origin elsewhere that ends like the granted suffix',
    [net({ hosts: ['*.good.test'] })],
    [net({ hosts: ['https://evil.test/.good.test', 'https://evil.test?.good.test', 'https://evil.test#.good.test'] })],
    ['net.hosts: "https://evil.test/.good.test", "https://evil.test?.good.test", "https://evil.test#.good.test"'],
  ],
  [
    'PKG-10: another scheme under a granted suffix',
    [net({ hosts: ['*.good.test'] })],
    [net({ hosts: ['http://x.good.test'] })],
    ['net.hosts: "http://x.good.test"'],
  ],
  [
    'timers that come more often',
    [make('timers')({ minMs: 1_000 })],
    [make('timers')({ minMs: 100 })],
    ['timers.minMs: 100 instead of 1000'],
  ],
  ['timers that come less often', [make('timers')({ minMs: 100 })], [make('timers')({ minMs: 1_000 })], []],
  ['a name behind a prefix', [events({ emit: ['acme.*'] })], [events({ emit: ['acme.x'] })], []],
  [
    'hearing besides speaking',
    [events({ emit: ['a.b'] })],
    [events({ subscribe: ['*'] })],
    ['events.subscribe: ["*"] instead of nothing'],
  ],
  ['nothing to hear any more', [events({ emit: ['a.b'], subscribe: ['*'] })], [events({ emit: ['a.b'] })], []],
  ['seeing a secret', [secret('inject')], [secret('reveal')], ['secrets.mode: "reveal" instead of "inject"']],
  ['not seeing it any more', [secret('reveal')], [secret('inject')], []],
  ['another secret', [secret('inject')], [secret('inject', 'b')], ['secrets.names: "b"']],
  ['more replicas', [apps(3)], [apps(4)], ['apps.scale.maxReplicas: 4 instead of 3']],
  ['fewer replicas', [apps(3)], [apps(2)], []],
  ['apps of one more label', [apps(3, { a: '1' })], [apps(3, { a: '1', b: '2' })], []],
  [
    'apps of one label less',
    [apps(3, { a: '1', b: '2' })],
    [apps(3, { a: '1' })],
    ['apps.selector: {"a":"1"} instead of {"a":"1","b":"2"}'],
  ],
  [
    'arguments in another order',
    [exec('-a', '-b')],
    [exec('-b', '-a')],
    ['exec.commands.run.args: ["-b","-a"] instead of ["-a","-b"]'],
  ],
  ['an argument', [exec()], [exec('-x')], ['exec.commands.run.args: ["-x"] instead of []']],
  ['more of a root', [files(['*.log'])], [files(['*.log', '*.key'])], ['files.roots.logs.read: "*.key"']],
  ['writing in a root', [files(['*'])], [files(['*'], ['*'])], ['files.roots.logs.write: ["*"] instead of nothing']],
  [
    'twice the same',
    [{ kind: 'timers' }],
    [{ kind: 'timers' }, { kind: 'timers', as: 'more' }],
    ['another capability "timers", as more'],
  ],
  [
    'a limit that fell away',
    [net({ hosts: ['a'], paths: ['/x'] })],
    [net({ hosts: ['a'] })],
    ['net.paths: nothing instead of ["/x"]'],
  ],
]
for (const [what, before, after, wanted] of wider) {
  test(`widening: ${what}`, () => assert.deepEqual(widening(before, after), wanted))
}

test('what allows the same is the same, whatever its name and reason', () => {
  assert.ok(isSameScope(old, { ...old, as: 'other', why: 'other' } as CapabilityRecord))
  assert.ok(!isSameScope(old, net({ hosts: ['a', 'b'], methods: ['GET'] })))
})
