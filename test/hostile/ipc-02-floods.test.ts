/** IPC-02: whoever owns a sandbox process writes without end. */
import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { forge, growthMb } from './forged-host.ts'

setFlagsFromString('--expose-gc')

describe('IPC-02 a forged sandbox process', () => {
  const ways: readonly [string, string][] = [
    ['endless', 'writes hundreds of megabytes where a frame should end'],
    ['endless-bodies', 'writes frame after frame of a megabyte'],
    ['small-frames', 'writes a million small frames'],
    ['pending-frames', 'says a million times that it is busy'],
    ['host-calls', 'makes ten thousand host calls'],
    ['noise', 'writes to its standard output without end'],
  ]
  for (const [way, title] of ways) {
    test(`that ${title} is killed, and costs neither memory nor time`, async (t) => {
      const forged = await forge(t, way)
      const gaps = monitorEventLoopDelay({ resolution: 5 })
      gaps.enable()
      const grownMb = await growthMb(async () => {
        const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 5_000 }), forged.end()])
        assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_PROTOCOL', JSON.stringify(answer))
        assert.equal(incident.code, 'ORC_SANDBOX_PROTOCOL', incident.message)
      })
      t.diagnostic(`${grownMb.toFixed(1)} MiB, longest gap of the loop ${(gaps.max / 1e6).toFixed(1)} ms`)
      // The allocator rounds up, and the successor was started meanwhile: a flood would be hundreds.
      assert.ok(grownMb < 24, `${grownMb} MiB`)
      assert.ok(gaps.max / 1e6 < 250, `${gaps.max / 1e6} ms`)
      assert.ok(forged.served.length <= 20, `${forged.served.length} host calls were served`)
    })
  }
})
