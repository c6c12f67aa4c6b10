/** What the compiler tells authors. The fixtures say with `@ts-expect-error` which lines must not compile. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tempDir } from '../support/temp-dir.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const types = fileURLToPath(new URL('types', import.meta.url))
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

async function compile(project: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [tsc, '--noEmit', '--project', project], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, output }
}

describe('types of the SDK', () => {
  it('accept what is right and refuse what is wrong', async () => {
    const { code, output } = await compile(join(types, 'tsconfig.json'))
    assert.equal(output, '')
    assert.equal(code, 0)
  })

  it('and the compiler would have said so if they did not', async (test) => {
    const dir = await tempDir(test)
    const lines = [
      `import { definePlugin } from ${JSON.stringify(join(root, 'sdk', 'index.ts'))}`,
      'definePlugin({ scaler: { decide: () => ({ replicas: 3 }) } })',
      '// @ts-expect-error: nothing is wrong here',
      "definePlugin({ scaler: { decide: ({ hold }) => hold('fine') } })",
    ]
    await writeFile(join(dir, 'wrong.ts'), lines.join('\n'))
    const project = { extends: join(root, 'tsconfig.json'), compilerOptions: { types: [] }, include: ['*.ts'] }
    await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(project))
    const { code, output } = await compile(join(dir, 'tsconfig.json'))
    assert.notEqual(code, 0)
    assert.match(output, /wrong\.ts\(2,.*TS2322/)
    assert.match(output, /wrong\.ts\(3,.*TS2578/)
  })
})
