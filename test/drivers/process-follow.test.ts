/** Following what a process writes: nothing twice, nothing left out for a reader that keeps up, nothing held for one that does not. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Driver } from '../../runtime/drivers/driver.ts'
import { limits } from '../../runtime/limits.ts'
import { waitFor } from '../support/wait-for.ts'
import { openDriver, request } from './process-harness.ts'

/** Writes `blocks` of a hundred numbered lines, each line a kilobyte long, one block every `everyMs`, and ends. */
const writer = (blocks: number, everyMs: number) => `
  const fs = require('node:fs'); let n = 0
  for (let block = 0; block < ${blocks}; block++) {
    let text = ''
    for (let i = 0; i < 100; i++) text += n++ + ' ' + 'ä'.repeat(500) + '\\n'
    fs.writeSync(1, text)
    fs.writeSync(2, 'same\\n')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${everyMs})
  }
  fs.writeSync(1, 'unfinished')`

async function read(driver: Driver, id: string, pauseMs = 0) {
  const lines = { stdout: [] as string[], stderr: [] as string[] }
  let most = 0
  for await (const batch of driver.follow?.(id, { lines: 1_000, signal: AbortSignal.timeout(60_000) }) ?? []) {
    most = Math.max(most, batch.length)
    for (const { stream, line } of batch) lines[stream].push(line)
    if (pauseMs > 0) await sleep(pauseMs)
  }
  return { ...lines, most }
}
const numbers = (lines: readonly string[]) => lines.slice(0, -1).map((line) => Number(line.split(' ')[0]))

describe('process driver: following', () => {
  it('brings each of many lines once and in order, also over the cuts of the file', async (t) => {
    const { driver } = await openDriver(t)
    const blocks = Math.ceil((limits.instanceLogBytes * 1.5) / 100_000)
    await driver.start(request('a', [process.execPath, '-e', writer(blocks, 60)]))
    const { stdout, stderr } = await read(driver, 'a')
    assert.deepEqual(
      numbers(stdout),
      Array.from({ length: blocks * 100 }, (_, index) => index),
    )
    assert.equal(stdout.at(-1), 'unfinished')
    assert.deepEqual(stderr, Array(blocks).fill('same'))
    assert.ok(stdout.every((line, index) => index === stdout.length - 1 || line.endsWith(` ${'ä'.repeat(500)}`)))
  })

  it('leaves out what a slow reader missed, and holds little at a time', async (t) => {
    const { driver } = await openDriver(t)
    const blocks = Math.ceil((limits.instanceLogBytes * 4) / 100_000)
    await driver.start(request('a', [process.execPath, '-e', writer(blocks, 5)]))
    const { stdout, most } = await read(driver, 'a', 100)
    const found = numbers(stdout)
    assert.ok(found.length < blocks * 100, 'the reader was not slow')
    assert.ok(
      found.every((number, index) => index === 0 || number > (found[index - 1] ?? 0)),
      'in order, none twice',
    )
    assert.equal(stdout.at(-1), 'unfinished')
    assert.ok(most < 500, `${most} lines at once`)
  })

  it('ends when nobody listens any more', async (t) => {
    const { driver } = await openDriver(t)
    await driver.start(request('a', [process.execPath, '-e', 'setInterval(() => {}, 1000)']))
    const left = new AbortController()
    let isOver = false
    const reading = (async () => {
      for await (const _ of driver.follow?.('a', { lines: 0, signal: left.signal }) ?? []);
      isOver = true
    })()
    await sleep(250)
    assert.equal(isOver, false)
    left.abort()
    await waitFor(() => isOver)
    await reading
  })
})
