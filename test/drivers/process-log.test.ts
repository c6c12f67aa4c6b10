import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../../runtime/limits.ts'
import { waitFor } from '../support/wait-for.ts'
import { openDriver, type ProcessHarness, request } from './process-harness.ts'

async function keptBytes(machine: ProcessHarness, id: string): Promise<number> {
  const dir = join(machine.dataDir, 'processes', id)
  const sizes = (await readdir(dir)).map((name) =>
    stat(join(dir, name))
      .then(({ size }) => size)
      .catch(() => 0),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

describe('process driver: logs', () => {
  it('keeps a flood within its bound while it lasts and after it, and shows its newest lines', async (t) => {
    const machine = await openDriver(t)
    const { driver } = machine
    await driver.list()
    // Up to a hundred megabytes a second, for three seconds or more on a slow machine, numbered so that the newest can be told.
    const source = `
      const fs = require('node:fs'); const end = Date.now() + 3000; let n = 0
      while (Date.now() < end || n < 1_000_000) {
        let block = ''
        for (let i = 0; i < 10_000; i++) block += 'line ' + n++ + ' ' + 'x'.repeat(90) + '\\n'
        fs.writeSync(1, block)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
      }
      fs.writeSync(1, 'the end ' + n + '\\n')
      setInterval(() => {}, 1000)`
    await driver.start(request('a', [process.execPath, '-e', source]))
    let most = 0
    let last = ''
    while (!last.startsWith('the end')) {
      most = Math.max(most, await keptBytes(machine, 'a'))
      last = (await driver.logs('a', { lines: 1 }))[0]?.line ?? ''
      await sleep(20)
    }
    const written = Number(last.split(' ')[2]) * 100
    assert.ok(written > 20 * limits.instanceLogBytes, `a flood of ${written} bytes is none`)
    // Where other programs free space at the same time, the first second of a flood can pass unnoticed, the others cannot.
    assert.ok(most < written * 0.6, `of ${written} bytes, ${most} were kept at once`)
    await waitFor(async () => (await keptBytes(machine, 'a')) <= limits.instanceLogBytes)

    const lines = (await driver.logs('a', { lines: 500 })).map(({ line }) => line)
    assert.equal(lines.length, 500)
    const numbers = lines.slice(0, -1).map((line) => Number(line.split(' ')[1]))
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => (numbers[0] ?? 0) + index),
    )
  })

  it('cuts the log of a replica that flooded and ended before anyone looked', async (t) => {
    const machine = await openDriver(t)
    const source = `require('node:fs').writeSync(2, 'y'.repeat(99).concat('\\n').repeat(100_000)); process.exit(4)`
    await machine.driver.start(request('a', [process.execPath, '-e', source]))
    const dir = join(machine.dataDir, 'processes', 'a')
    await waitFor(async () => (await readdir(dir)).includes('stderr.log.old') && (await keptBytes(machine, 'a')))
    await waitFor(async () => (await keptBytes(machine, 'a')) <= limits.instanceLogBytes)
    assert.equal((await machine.driver.logs('a', { lines: 50 })).length, 50)
  })

  it('shares what is shown between the two streams, so that neither hides the other', async (t) => {
    const { driver } = await openDriver(t)
    const source = 'for (let i = 0; i < 30; i++) { console.log("o" + i); if (i < 3) console.error("e" + i) }'
    await driver.start(request('a', [process.execPath, '-e', source]))
    await waitFor(async () => (await driver.logs('a', { lines: 100 })).length === 33)
    const shown = async (lines: number) => (await driver.logs('a', { lines })).map(({ line }) => line)
    assert.deepEqual(await shown(2), ['o29', 'e2'])
    assert.deepEqual(await shown(4), ['o28', 'o29', 'e1', 'e2'])
    assert.deepEqual(await shown(8), ['o25', 'o26', 'o27', 'o28', 'o29', 'e0', 'e1', 'e2'])
    assert.deepEqual(await shown(1), ['o29'])
    assert.deepEqual(await shown(-5), [])
  })

  it('keeps the logs of the last five ended replicas of an app, through a restart too', async (t) => {
    const machine = await openDriver(t)
    for (let n = 1; n <= 7; n++) {
      await machine.driver.start(request(`a${n}`, ['sleep', '60']))
      await machine.driver.stop(`a${n}`, { graceSeconds: 1 })
    }
    await machine.driver.start(request('b1', ['sleep', '60'], { app: 'other' }))
    await machine.driver.stop('b1', { graceSeconds: 1 })
    const kept = async () => (await readdir(join(machine.dataDir, 'processes'))).sort()
    assert.deepEqual(await kept(), ['a3', 'a4', 'a5', 'a6', 'a7', 'b1'])
    await assert.rejects(machine.driver.logs('a2', { lines: 1 }), { code: 'ORC_INSTANCE_UNKNOWN' })
    await machine.driver.close({ keep: true })

    const next = machine.open()
    t.after(() => next.close({ keep: false }))
    assert.deepEqual(await next.logs('a3', { lines: 1 }), [])
    await next.start(request('a8', ['sleep', '60']))
    await next.stop('a8', { graceSeconds: 1 })
    assert.deepEqual(await kept(), ['a4', 'a5', 'a6', 'a7', 'a8', 'b1'])
  })
})
