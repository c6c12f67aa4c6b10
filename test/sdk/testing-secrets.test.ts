/** Fixtures of `secrets` and `crypto`: they compute what the host computes, and refuse by the same codes. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { type Context, definePlugin } from '../../sdk/index.ts'
import { createHarness, type HarnessOptions } from '../../sdk/testing.ts'

/** Runs `work` in a plugin with these grants; what it returns, or the code and text of what it throws. */
async function inPlugin(grants: NonNullable<HarnessOptions['grants']>, work: (ctx: Context) => Promise<unknown>) {
  const plugin = definePlugin({
    scaler: {
      async decide({ ctx, hold }) {
        const told = await work(ctx).catch(
          ({ code, message }: Error & { code: string }) => `${code ?? 'no code'} ${message}`,
        )
        return hold(String(told))
      },
    },
  })
  return ((await createHarness(plugin, { grants }).decide({})) as { reason: string }).reason
}

test('a secret of the fixture is read, another one refused', async () => {
  const grants = { secrets: { db: 'the-value' } }
  assert.equal(await inPlugin(grants, (ctx) => ctx.secrets.get('db')), 'the-value')
  for (const name of ['other', '__proto__'])
    assert.equal(
      await inPlugin(grants, (ctx) => ctx.secrets.get(name)),
      `ORC_CAPABILITY_DENIED ctx.secrets: there is no secret "${name}" that this plugin may read`,
    )
  assert.match(await inPlugin({}, async (ctx) => ctx.secrets.get('db')), /ctx\.secrets was not granted/)
})

test('hash, hmac and chance are as in the host', async () => {
  const grants = { crypto: { signing: 'the-key' } }
  const bytes = Buffer.from([0, 200, 255])
  const hash = createHash('sha384').update('héllo').digest('hex')
  assert.equal(await inPlugin(grants, (ctx) => ctx.crypto.hash('sha384', 'héllo')), hash)
  const hmac = createHmac('sha256', 'the-key').update(bytes).digest('hex')
  assert.equal(
    await inPlugin(grants, (ctx) => ctx.crypto.hmac('sha256', 'signing', bytes.toString('base64'), 'base64')),
    hmac,
  )
  assert.equal(Buffer.from(await inPlugin({ crypto: true }, (ctx) => ctx.crypto.randomBytes(24)), 'base64').length, 24)
  assert.match(await inPlugin({ crypto: true }, (ctx) => ctx.crypto.randomUuid()), /^[0-9a-f-]{36}$/)
  assert.match(
    await inPlugin(grants, (ctx) => ctx.crypto.hmac('sha256', 'other', 'x')),
    /^ORC_CAPABILITY_DENIED .*no secret "other" that this plugin may use as a key/,
  )
  assert.match(await inPlugin(grants, (ctx) => ctx.crypto.hash('md5', 'x')), /^ORC_CAPABILITY_ARGUMENT /)
})
