// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how manifests write the directory of an instance
/** A plugin that starts its server when it is told to go: nothing of it is left all the same. */
import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isAlive } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { scaler, world } from './world.ts'

const onLinux = { skip: process.platform === 'linux' ? false : 'servers of plugins are kept on Linux only' }

const start = `await ctx.exec.start('serve')
  while (!(await ctx.exec.status('serve')).output.includes('up')) await ctx.timers.sleep(20)`
const cases: [what: string, code: string, go: (w: Awaited<ReturnType<typeof world>>) => Promise<unknown>][] = [
  [
    'is disabled',
    scaler(1, `dispose: async (ctx) => { await ctx.timers.sleep(200); ${start} },`),
    (w) => w.plugins.disable('keeper'),
  ],
  ['cannot be installed', scaler(1, `activate: async (ctx) => { ${start}; throw new Error('no') },`), async () => {}],
]
for (const [what, code, go] of cases)
  test(`the server of a plugin that ${what} ends with it`, onLinux, async (t) => {
    const w = await world(t)
    await w.plugins.start()
    const dir = await tempDir(t)
    await chmod(dir, 0o755)
    const path = join(dir, 'tool')
    await writeFile(path, `#!/bin/sh\necho $$ > pid\necho up\nexec sleep 1000\n`)
    await chmod(path, 0o755)
    const commands = [{ name: 'serve', path, workingDir: '${instance.dir}', daemon: {} }]
    const manifest = { capabilities: [{ kind: 'exec', commands, why: 'test' }, { kind: 'timers' }] }
    const folder = await w.folder('keeper', { name: '@test/keeper', manifest, code })
    const options = { path: folder, isAgreed: true }
    const installed = await w.plugins.install(options).then(
      () => true,
      () => false,
    )
    assert.equal(installed, what === 'is disabled')
    await go(w)
    const said = join(w.root, 'servers', 'work', '@test+keeper', 'keeper', 'pid')
    const pid = await waitFor(async () => Number(await readFile(said, 'utf8').catch(() => '')) || undefined)
    await waitFor(() => !isAlive(pid))
  })
