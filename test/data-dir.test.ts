import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { platform } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openDataDir } from '../runtime/data-dir.ts'
import { tempDir } from './support/temp-dir.ts'

const holder = fileURLToPath(new URL('support/data-dir-holder.ts', import.meta.url))
type Said = { pid: number; ownerId?: string; code?: string; message?: string }

async function startHolder(test: TestContext, path: string): Promise<{ child: ChildProcess; said: Said }> {
  const child = spawn(process.execPath, [holder, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  test.after(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { child, said: JSON.parse(line) as Said }
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const ended = once(child, 'close')
  child.kill(signal)
  await ended
}

describe('a data directory', () => {
  it('is created for its user alone, with an id that stays', async (t) => {
    const path = join(await tempDir(t), 'deep', 'er')
    const first = await openDataDir(path)
    assert.equal((await stat(path)).mode & 0o777, 0o700)
    assert.match(first.ownerId, /^[0-9a-f-]{36}$/)
    await first.release()
    await first.release()
    const second = await openDataDir(path)
    assert.equal(second.ownerId, first.ownerId)
    await second.release()
    assert.deepEqual(await readdir(path), ['owner'])
  })

  it('refuses a second process, naming the first, until that one has ended', async (t) => {
    const path = await tempDir(t)
    const { child, said } = await startHolder(t, path)
    await assert.rejects(openDataDir(path), {
      code: 'ORC_DATA_DIR_LOCKED',
      message: new RegExp(`by process ${said.pid}\\.`),
    })
    const second = await startHolder(t, path)
    assert.equal(second.said.code, 'ORC_DATA_DIR_LOCKED')
    await end(child, 'SIGTERM')
    const mine = await openDataDir(path)
    assert.equal(mine.ownerId, said.ownerId)
    await mine.release()
  })

  it('refuses its own process too', async (t) => {
    const path = await tempDir(t)
    const mine = await openDataDir(path)
    await assert.rejects(openDataDir(path), {
      code: 'ORC_DATA_DIR_LOCKED',
      message: new RegExp(`by process ${process.pid}\\.`),
    })
    await mine.release()
  })

  it('is free after kill -9 of its holder, and nothing of the dead stays behind', async (t) => {
    const path = await tempDir(t)
    for (let round = 0; round < 3; round += 1) {
      const { child, said } = await startHolder(t, path)
      assert.equal(said.code, undefined)
      await end(child, 'SIGKILL')
    }
    const mine = await openDataDir(path)
    assert.equal((await readdir(path)).filter((name) => name !== 'owner').length, 1)
    await mine.release()
  })

  it('goes to exactly one of many processes that come at once over a dead one', async (t) => {
    const path = await tempDir(t)
    await end((await startHolder(t, path)).child, 'SIGKILL')
    const all = await Promise.all(Array.from({ length: 6 }, () => startHolder(t, path)))
    const winners = all.filter(({ said }) => said.code === undefined)
    assert.equal(winners.length, 1)
    for (const { said } of all) {
      assert.equal(new Set(all.map((one) => one.said.ownerId ?? winners[0]?.said.ownerId)).size, 1)
      if (said.code !== undefined) assert.match(said.message ?? '', new RegExp(`by process ${winners[0]?.said.pid}\\.`))
    }
  })

  it('goes to exactly one of many callers in a row of collisions', async (t) => {
    const path = await tempDir(t)
    for (let round = 0; round < 10; round += 1) {
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => openDataDir(path)))
      const won = outcomes.filter((outcome) => outcome.status === 'fulfilled')
      assert.equal(won.length, 1)
      await won[0]?.value.release()
    }
  })

  const isLinux = platform() === 'linux'
  it('is not held by a later process with the same pid', {
    skip: isLinux ? false : 'start times are read from /proc',
  }, async (t) => {
    const path = await tempDir(t)
    await writeFile(join(path, 'lock.4'), JSON.stringify({ pid: process.pid, startedAt: 'another-boot 12345' }))
    const mine = await openDataDir(path)
    assert.deepEqual((await readdir(path)).sort(), ['lock.5', 'owner'])
    await mine.release()
  })

  it('does not take what is no folder, nor an owner file that holds something else', async (t) => {
    const path = await tempDir(t)
    await writeFile(join(path, 'file'), '')
    await assert.rejects(openDataDir(join(path, 'file')), { code: 'ORC_CONFIG_INVALID', message: /must be a folder/ })
    await mkdir(join(path, 'dir'))
    await writeFile(join(path, 'dir', 'owner'), 'nobody')
    await assert.rejects(openDataDir(join(path, 'dir')), { code: 'ORC_STORE_CORRUPT' })
    assert.equal(await readFile(join(path, 'dir', 'owner'), 'utf8'), 'nobody')
    await rm(join(path, 'dir', 'owner'))
    await (await openDataDir(join(path, 'dir'))).release()
  })
})
