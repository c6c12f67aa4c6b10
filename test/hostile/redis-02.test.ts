/** REDIS-02: keys of others, in whatever place and spelling. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRedisCapability } from '../../runtime/capabilities/redis.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { redisSkip, startRedis } from '../support/redis-server.ts'

const denied: readonly (readonly (string | number)[])[] = [
  ['GET', 'secret'],
  ['GET', ''],
  ['GET', 'QUEUE:a'],
  ['GET', ' queue:a'],
  ['GET', '\0queue:a'],
  ['MGET', 'queue:a', 'secret'],
  ['MGET', '{queue:}a', '{secret}b'],
  ['MSET', 'queue:a', 1, 'secret', 2],
  ['DEL', 'queue:a', 'secret'],
  ['LMOVE', 'queue:l', 'secret', 'LEFT', 'RIGHT'],
  ['LMOVE', 'secret', 'queue:l', 'LEFT', 'RIGHT'],
  ['RPOPLPUSH', 'queue:l', 'secret'],
  ['SMOVE', 'secret', 'queue:s', 'x'],
  ['XINFO', 'STREAM', 'secret'],
  ['SCAN', 0, 'MATCH', '*'],
  ['SORT', 'queue:l', 'BY', 'secret_*', 'GET', 'secret_*'],
  ['SORT_RO', 'queue:l', 'GET', '*'],
  ['MIGRATE', '127.0.0.1', 1, 'queue:a', 0, 100],
  ['COPY', 'queue:a', 'secret'],
  ['RENAME', 'secret', 'queue:a'],
  ['RESTORE', 'queue:a', 0, 'x'],
  ['GEORADIUS', 'queue:g', 0, 0, 1, 'm', 'STORE', 'secret'],
  ['ZUNIONSTORE', 'secret', 1, 'queue:z'],
]
const refusedArguments: readonly (readonly unknown[])[] = [
  ['MSET', 'queue:a', 1, 'secret'],
  ['GET', 'queue:a', 'secret'],
  ['GET', 'queue:\ud800'],
  ['XINFO', 'HELP', 'queue:a'],
  ['GET', ['queue:a', 'secret']],
  ['GET', { toString: 'queue:a' }],
  ['GET', null],
  ['GET'],
]

test('REDIS-02: every key has a granted prefix, and a line break in one is a byte of it', {
  skip: redisSkip,
}, async (t) => {
  const redis = await startRedis(t)
  await redis.tell('SET secret 1')
  const commands = ['SET', ...denied.map(([name]) => String(name))]
  const guest = await openHostileGuest(t, {
    capability: createRedisCapability({ clock: systemClock, ownListeners: () => [], secretOf: () => undefined }),
    grant: {
      kind: 'redis',
      why: 'test',
      url: redis.url,
      addresses: ['loopback'],
      commands,
      keys: ['queue:', '{queue:}'],
    },
    body: `
      const all = []
      for (const attack of input.attacks) all.push(await tell(() => ctx.redis.command(...attack)))
      all.push(await ctx.redis.command('SET', input.key, input.key))
      all.push(await ctx.redis.command('GET', input.key))
      all.push((await ctx.redis.command('SCAN', 0, 'MATCH', 'queue:*', 'COUNT', 100))[1])
      return all`,
  })
  const { settled } = await redis.monitor()
  const key = 'queue:\r\nSET secret 2\r\n'
  const told = await guest.attack({ attacks: [...denied, ...refusedArguments], key })
  assert.deepEqual(told, [
    ...denied.map(() => 'ORC_CAPABILITY_DENIED'),
    ...refusedArguments.map(() => 'ORC_CAPABILITY_ARGUMENT'),
    'OK',
    key,
    [key],
  ])
  const shown = '"queue:\\r\\nSET secret 2\\r\\n"'
  assert.deepEqual(await settled(), [
    `"SET" ${shown} ${shown}`,
    `"GET" ${shown}`,
    '"SCAN" "0" "MATCH" "queue:*" "COUNT" "100"',
  ])
  assert.match(await redis.tell('GET secret'), /^\$1\r\n1/)
  assert.equal(guest.violations.length, denied.length)
})
