import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import type { Caller, Capability } from '../../runtime/capabilities/capability.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { createTrace, isInexact } from '../../runtime/capabilities/trace.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import { bindAs } from '../support/bound.ts'

const denied = (text: string) => new OrchestryError('ORC_CAPABILITY_DENIED', text)
let seen: Caller | undefined
/** `get` tells what it was about, `list` tells nothing, `put` refuses one part of what it does. */
const telling: Capability<'kv'> = {
  kind: 'kv',
  use(_grant, caller) {
    seen = caller
    return {
      operations: {
        get(args) {
          const target = String(args[0])
          caller.onUse?.('get', target, target !== 'no')
          if (target === 'no') throw denied('not that one')
        },
        list(args) {
          if (args[0] === 'no') throw denied('nothing is listed')
          if (args[0] === 'broken') throw new Error('the disk is full')
        },
        put() {
          caller.onUse?.('put', 'a', true)
          caller.onUse?.('put', 'b', false)
          caller.onDenied?.('put', 'not b')
        },
      },
    }
  },
  narrow: (grant, targets) => ({ ...grant, quotaKb: targets.length }),
}
const rowsOf = (bound: ReturnType<typeof bindAs>) =>
  bound.bound
    .usage()[0]
    ?.targets.map(({ operation, target, ...counts }) => [operation, target, counts.allowed, counts.denied])

test('every use is counted by its operation and target, allowed or denied', async () => {
  const guest = bindAs(telling, { kind: 'kv' })
  await guest.call('kv.get', 'x')
  await guest.call('kv.get', 'x')
  await assert.rejects(guest.call('kv.get', 'no'), { code: 'ORC_CAPABILITY_DENIED' })
  await guest.call('kv.put')
  assert.deepEqual(rowsOf(guest), [
    ['get', 'x', 2, 0],
    ['get', 'no', 0, 1],
    ['put', 'a', 1, 0],
    ['put', 'b', 0, 1],
  ])
  const [usage] = guest.bound.usage()
  assert.deepEqual([usage?.allowed, usage?.denied], [3, 2])
  assert.ok(Date.now() - (usage?.targets[0]?.lastAtMs ?? 0) < 5_000)
})

test('an operation that tells no target is counted under its own name; a failure is neither allowed nor denied', async () => {
  const guest = bindAs(telling, { kind: 'kv' })
  await guest.call('kv.list')
  await assert.rejects(guest.call('kv.list', 'no'))
  await assert.rejects(guest.call('kv.list', 'broken'))
  assert.deepEqual(rowsOf(guest), [['list', 'list', 1, 1]])
})

test('a trace has at most 500 rows and one for the rest, and no text of it is long or obeyed by a terminal', () => {
  const trace = createTrace()
  for (let index = 0; index < 10_000; index += 1) trace.record('get', `k${index}`, true, index)
  trace.record('get', 'k7', false, 20_000)
  assert.deepEqual(trace.counts(), { allowed: 10_000, denied: 1 })
  assert.equal(trace.rows().length, 501)
  assert.deepEqual(trace.rows().at(-1), { operation: '', target: '(more)', allowed: 9_500, denied: 0, lastAtMs: 9_999 })
  assert.deepEqual(trace.rows()[7], { operation: 'get', target: 'k7', allowed: 1, denied: 1, lastAtMs: 20_000 })
  const long = createTrace()
  long.record('get', `\u001b[2J${'x'.repeat(1_000_000)}`, true, 0)
  const [row] = long.rows()
  assert.equal(row?.target.length, 200)
  assert.match(row?.target ?? '', /^\\u001b\[2Jx+…$/)
  assert.ok(isInexact(row?.target ?? '') && isInexact('(more)') && !isInexact('k7'))
})

test('a grant is not narrowed by what is not known whole', () => {
  const table = createCapabilities([telling])
  assert.deepEqual(table.narrow({ kind: 'kv' }, ['a', 'b']), { kind: 'kv', quotaKb: 2 })
  assert.deepEqual(table.narrow({ kind: 'kv' }, ['a', '(more)']), { kind: 'kv' })
})

test('only secrets that are granted to be injected are injectable', () => {
  const secrets: Capability<'secrets'> = { kind: 'secrets', use: () => ({ operations: {} }) }
  const grants: CapabilityRecord[] = [
    { kind: 'kv' },
    { kind: 'secrets', names: ['a', 'b'], mode: 'inject', why: 'w' },
    { kind: 'secrets', as: 'open', names: ['c'], mode: 'reveal', why: 'w' },
  ]
  createCapabilities([telling, secrets]).bind(grants, { plugin: 'p', instance: 'i' })
  assert.deepEqual([...(seen?.injectable ?? [])], ['a', 'b'])
})

test('what is kept of a plugin that was removed is forgotten by every capability that keeps something', async () => {
  const forgotten: string[] = []
  const keeping: Capability<'kv'> = { ...telling, forget: (plugin) => void forgotten.push(plugin) }
  const table = createCapabilities([keeping, { kind: 'clock', use: () => ({ operations: {} }) }])
  await table.forget('p')
  assert.deepEqual(forgotten, ['p'])
})
