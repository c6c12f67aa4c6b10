import assert from 'node:assert/strict'
import { appendFile, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { cutLog, tailLog } from '../../runtime/drivers/log-file.ts'
import { tempDir } from '../support/temp-dir.ts'

const maxBytes = 256 * 1024

async function logWith(test: TestContext, text: string): Promise<string> {
  const path = join(await tempDir(test), 'stdout.log')
  await writeFile(path, text)
  return path
}

describe('tailLog', () => {
  const cases: { name: string; text: string; count: number; lines: string[] }[] = [
    { name: 'nothing', text: '', count: 5, lines: [] },
    { name: 'fewer lines than asked for', text: 'a\nb\n', count: 5, lines: ['a', 'b'] },
    { name: 'the newest of many', text: 'a\nb\nc\n', count: 2, lines: ['b', 'c'] },
    { name: 'a last line without its end', text: 'a\nb\nc', count: 2, lines: ['b', 'c'] },
    { name: 'empty lines', text: 'a\n\n\n', count: 2, lines: ['', ''] },
    { name: 'line ends of Windows', text: 'a\r\nb\r\n', count: 5, lines: ['a', 'b'] },
    { name: 'no lines at all', text: 'a\n', count: 0, lines: [] },
    { name: 'bytes that are no UTF-8', text: 'ä\n', count: 1, lines: ['ä'] },
  ]
  for (const { name, text, count, lines } of cases) {
    it(name, async (t) => assert.deepEqual(await tailLog(await logWith(t, text), count, maxBytes), lines))
  }

  it('says nothing of a file that is not there', async (t) => {
    assert.deepEqual(await tailLog(join(await tempDir(t), 'none.log'), 5, maxBytes), [])
  })

  it('reads no more than it may, and shows no line without its beginning', async (t) => {
    const path = await logWith(t, `${'z'.repeat(999)}\n`.repeat(1_000))
    const lines = await tailLog(path, 10_000, maxBytes)
    assert.equal(lines.length, Math.floor(maxBytes / 1_000))
    assert.ok(lines.every((line) => line === 'z'.repeat(999)))
  })

  it('cuts a line that is too long to show', async (t) => {
    const [line = ''] = await tailLog(await logWith(t, `${'z'.repeat(100_000)}\n`), 1, maxBytes)
    assert.equal(line, `${'z'.repeat(16 * 1024)}…`)
  })
})

describe('cutLog', () => {
  it('empties the file under its writer, keeps the newest whole lines beside it, and a tail reads across', async (t) => {
    const path = await logWith(t, '')
    const writer = await open(path, 'a')
    t.after(() => writer.close())
    for (let n = 0; n < 100; n++) await writer.write(`line ${n}\n`)
    await cutLog(path, 100)
    assert.equal(await readFile(path, 'utf8'), '')
    const old = await readFile(`${path}.old`, 'utf8')
    assert.ok(old.length <= 100 && old.startsWith('line 8') && old.endsWith('line 99\n'), old)
    await writer.write('line 100\n')
    assert.equal(await readFile(path, 'utf8'), 'line 100\n')
    assert.deepEqual(await tailLog(path, 3, maxBytes), ['line 98', 'line 99', 'line 100'])
  })

  it('keeps a line whole that was cut in its middle', async (t) => {
    const path = await logWith(t, 'first\nbegun')
    await cutLog(path, 100)
    await appendFile(path, ' and ended\nlast\n')
    assert.deepEqual(await tailLog(path, 5, maxBytes), ['first', 'begun and ended', 'last'])
  })

  it('keeps the end of one line that is longer than all that is kept', async (t) => {
    const path = await logWith(t, 'x'.repeat(1_000))
    await cutLog(path, 100)
    assert.deepEqual(await tailLog(path, 5, maxBytes), ['x'.repeat(100)])
  })
})
