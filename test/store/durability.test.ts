import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../runtime/clock.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const writer = fileURLToPath(new URL('writer.ts', import.meta.url))

it('has all that was acknowledged, and nothing by halves, after kill -9 in the middle of writing, again and again', async (t) => {
  const path = await tempDir(t)
  for (let round = 0; round < 3; round += 1) {
    const child = spawn(process.execPath, [writer, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    await waitFor(() => text.length > 20_000, { timeoutMs: 20_000 })
    child.kill('SIGKILL')
    await once(child, 'close')

    const acknowledged = text.split('\n').slice(0, -1)
    assert.ok(acknowledged.length > 1_000)
    const store = await createLmdbStore({ path, clock: systemClock })
    const newest = new Map((await store.list<number>({ prefix: ['newest'] })).map(({ key, value }) => [key[1], value]))
    const stored = new Set((await store.list({ prefix: ['record'] })).map(({ key }) => `${key[1]} ${key[2]}`))
    for (const line of acknowledged) assert.ok(stored.has(line), `record ${line} was acknowledged and is lost`)
    for (const [number, last] of newest) assert.ok(stored.has(`${number} ${last}`), 'half of a write is there')
    await store.close()
  }
})
