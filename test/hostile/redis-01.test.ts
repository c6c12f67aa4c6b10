/** REDIS-01: commands that run code, change the server or reach other data, however they are written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRedisCapability } from '../../runtime/capabilities/redis.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { redisSkip, startRedis } from '../support/redis-server.ts'

const attacks: readonly (readonly (string | number)[])[] = [
  ['EVAL', "return redis.call('GET', 'secret')", 0],
  ['eval', 'return 1', 1, 'queue:a'],
  ['EvAl', 'return 1', 0],
  ['EVAL_RO', 'return 1', 0],
  ['EVALSHA', 'abc', 0],
  ['SCRIPT', 'LOAD', 'return 1'],
  ['FUNCTION', 'LOAD', 'x'],
  ['FCALL', 'f', 0],
  ['CONFIG', 'SET', 'dir', '/tmp'],
  ['config', 'get', '*'],
  ['CONFIG SET', 'dir', '/tmp'],
  ['MODULE', 'LOAD', '/tmp/evil.so'],
  ['DEBUG', 'SLEEP', 1],
  ['KEYS', '*'],
  ['FLUSHALL'],
  ['FLUSHDB'],
  ['CLIENT', 'KILL', 'TYPE', 'normal'],
  ['REPLICAOF', '127.0.0.1', 1],
  ['SELECT', 1],
  ['SUBSCRIBE', 'x'],
  ['MONITOR'],
  ['SHUTDOWN', 'NOSAVE'],
  ['GET\r\nFLUSHALL\r\n', 'queue:a'],
  ['GET queue:a\r\nFLUSHALL'],
  [' GET', 'queue:a'],
  ['GET\0', 'queue:a'],
  ['G\u0130T', 'queue:a'],
  ['*1\r\n$8\r\nFLUSHALL\r\n'],
  ['__proto__', 'queue:a'],
  ['constructor', 'queue:a'],
  ['', 'queue:a'],
]

test('REDIS-01: none of them is sent, whatever the operator granted', { skip: redisSkip }, async (t) => {
  const redis = await startRedis(t)
  await redis.tell('SET secret 1')
  // An operator who consented to all of it: the grant would not pass `check`, and is kept from us all the same.
  const commands = ['GET', ...attacks.map(([name]) => String(name)).filter((name) => name !== '')]
  const guest = await openHostileGuest(t, {
    capability: createRedisCapability({ clock: systemClock, ownListeners: () => [], secretOf: () => undefined }),
    grant: { kind: 'redis', why: 'test', url: redis.url, addresses: ['loopback'], commands, keys: ['queue:'] },
    body: `
      const told = []
      for (const attack of input) {
        told.push(await tell(() => ctx.redis.command(...attack)))
        const [one] = await ctx.redis.pipeline([attack])
        told.push(one.code)
      }
      told.push(await ctx.redis.command('GET', 'queue:a'))
      return told`,
  })
  const { settled } = await redis.monitor()
  const told = (await guest.attack(attacks)) as unknown[]
  assert.deepEqual(told, [...attacks.flatMap(() => ['ORC_CAPABILITY_DENIED', 'ORC_CAPABILITY_DENIED']), null])
  assert.deepEqual(await settled(), ['"GET" "queue:a"'], 'MONITOR shows nothing else')
  assert.equal(guest.violations.length, attacks.length * 2, 'one record each')
})
