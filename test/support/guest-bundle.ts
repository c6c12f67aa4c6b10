/** Compiles plugin source from a test to what the sandbox runs. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundlePlugin } from '../../runtime/plugins/bundle.ts'
import type { Bundle } from '../../runtime/sandbox/sandbox.ts'

/** `body` is what stands inside `definePlugin({ … })`; `Type` is in scope. */
export async function bundleGuest(body: string, plugin = 'test-plugin'): Promise<Bundle> {
  const dir = mkdtempSync(join(tmpdir(), 'guest bundle '))
  try {
    const code = `import { definePlugin, Type } from '@orchestry/sdk'\nexport default definePlugin({${body}})\n`
    writeFileSync(join(dir, 'plugin.ts'), code)
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}')
    const { source } = await bundlePlugin(dir, 'plugin.ts')
    return { plugin, version: '1.0.0', source, hash: createHash('sha256').update(source).digest('hex') }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
