/** What is published, used as its users do: installed from the tarballs into an empty folder, with the machine's own Node. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { startOrchestry } from '../support/orchestry.ts'
import { type PackedPackage, packPackages, userEnvironment } from '../support/packed.ts'
import { readmeExamples } from '../support/readme-examples.ts'
import { root } from '../support/source-tree.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const run = promisify(execFile)
const env = userEnvironment()
const work = await tempDir()
after(() => removeDir(work))
await mkdir(join(work, 'packed'))
const packed = await packPackages(join(work, 'packed'))

function packageNamed(name: string): PackedPackage {
  const found = packed.find((one) => one.name === name)
  assert.ok(found, `${name} was not packed`)
  return found
}
const sdk = packageNamed('@orchestry/sdk')
const orchestry = packageNamed('orchestry')

const unreachable = 'the npm registry cannot be reached'
/** Whether what an installation needs can be had, from npm's cache or a registry; asked once, without patience. */
const hasRegistry = await run('npm', ['view', 'typebox', 'version', '--prefer-offline', '--fetch-retries=0'], {
  env,
  timeout: 20_000,
}).then(
  () => true,
  () => false,
)

/** Installs into a new folder, with no install script. */
async function install(name: string, packages: readonly PackedPackage[]): Promise<string> {
  const directory = join(work, name)
  await mkdir(directory)
  await writeFile(join(directory, 'package.json'), '{ "private": true, "type": "module" }\n')
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
  await run('npm', ['install', ...flags, ...packages.map(({ tarball }) => tarball)], { cwd: directory, env })
  return directory
}

async function writeExamples(directory: string, pages: readonly string[]): Promise<string[]> {
  const examples = (await Promise.all(pages.map((page) => readmeExamples(join(root, page))))).flatMap((all) => [...all])
  for (const [path, text] of examples) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), text)
  }
  return examples.map(([path]) => path)
}

test('the packages hold what was compiled, their page and the licence, and nothing that is only for us', () => {
  const expected = {
    [sdk.name]: ['dist/index.js', 'dist/index.d.ts', 'dist/index.js.map', 'dist/testing.js', 'dist/guest-type.js'],
    [orchestry.name]: [
      ...['cli/orchestry.js', 'dist/main.js', 'dist/main.js.map', 'dist/host.d.ts', 'dist/demo/app-server.js'],
      ...['dist/sandbox/guest/bootstrap.js', 'dist/store/verify.js', 'dashboard/page/main.tsx'],
      ...['dist/dataplane/main.js', 'dist/plugins-builtin/threshold-scaler/package.json'],
    ],
  }
  for (const { name, version, files } of packed) {
    assert.equal(version, '0.1.0')
    const missing = ['package.json', 'README.md', 'LICENSE', ...(expected[name] ?? [])].filter(
      (path) => !files.includes(path),
    )
    assert.deepEqual(missing, [], name)
    const isSource = (path: string) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts')
    const isWanted = (path: string) => /^(dashboard\/page|dist\/plugins-builtin)\//.test(path)
    const strays = files.filter(
      (path) => /\.test\.|\.tsbuildinfo$|tsconfig/.test(path) || (isSource(path) && !isWanted(path)),
    )
    assert.deepEqual(strays, [], name)
  }
})

test('an author needs the SDK alone: what the pages show type-checks in both ways of resolving, and its tests pass', async (t) => {
  if (!hasRegistry) return t.skip(unreachable)
  const directory = await install('author', [sdk])
  const paths = await writeExamples(directory, ['README.md', 'sdk/README.md'])
  const plugins = paths.filter((path) => path.endsWith('/plugin.ts'))
  const tests = paths.filter((path) => path.endsWith('.test.ts'))
  assert.ok(plugins.length >= 3 && tests.length >= 2, `the pages show ${paths.join(', ')}`)

  const harness = "import { createHarness, type Harness } from '@orchestry/sdk/testing'\n"
  const table = "import { capabilityOperations } from '@orchestry/sdk/operations'\n"
  await writeFile(
    join(directory, 'entries.ts'),
    `${harness}${table}export const made: (plugin: object) => Harness = createHarness\nexport const kinds = Object.keys(capabilityOperations)\n`,
  )
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ] as const) {
    const target = { module, moduleResolution, target: 'es2023', lib: ['es2023'], types: [] }
    const compilerOptions = { ...target, strict: true, noEmit: true }
    const project = join(directory, `tsconfig.${moduleResolution}.json`)
    // Nothing of Node and nothing of a browser: what the SDK's types need, it brings.
    await writeFile(project, JSON.stringify({ compilerOptions, files: ['entries.ts', ...plugins] }))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [tsc, '-p', project], { cwd: directory }).catch((error: { stdout: string }) =>
      assert.fail(`${moduleResolution}: ${error.stdout}`),
    )
  }
  const { stdout } = await run(process.execPath, ['--test', ...tests], { cwd: directory, env })
  assert.match(stdout, /pass [3-9][\s\S]*fail 0\b/)
})

test('an empty folder becomes an Orchestry', async (t) => {
  if (!hasRegistry) return t.skip(unreachable)
  const directory = await install('operator', [sdk, orchestry])
  const bin = join(directory, 'node_modules/.bin/orchestry')
  const packageDir = join(directory, 'node_modules/orchestry')

  await t.test('npx finds the command', async () => {
    const { stdout } = await run('npx', ['--no-install', 'orchestry', '--version'], { cwd: directory, env })
    assert.equal(stdout.trim(), orchestry.version)
  })

  await t.test(
    'it serves with all its plugins, runs an app, compiles its page and the plugin of the README',
    async (t) => {
      const dataDir = await tempDir(t)
      const running = await startOrchestry(t, { command: [bin], env, dataDir })
      type Plugin = { id: string; state: string; problem?: string }
      const { plugins } = await running.api<{ plugins: Plugin[] }>('/api/v1/plugins')
      const builtins = orchestry.files.filter((path) => /^dist\/plugins-builtin\/[^/]+\/package\.json$/.test(path))
      assert.equal(plugins.length, builtins.length)
      assert.deepEqual(
        // One that needs something of the machine waits for its config.
        plugins
          .filter(({ state }) => state !== 'serving' && state !== 'unconfigured')
          .map(({ id, state, problem }) => ({ id, state, problem })),
        [],
      )

      const command = [process.execPath, join(packageDir, 'dist/demo/app-server.js')]
      const spec = { apiVersion: 'v1', kind: 'App', metadata: { name: 'shop' }, spec: { command } }
      await running.api('/api/v1/apps', { method: 'POST', body: spec })
      const fromApp = async () => {
        const response = await fetch(`${running.proxyUrl}/shop/`)
        return response.ok ? response.text() : undefined
      }
      const answer = await waitFor(fromApp, { timeoutMs: 10_000, what: 'the app to answer through the proxy' })
      assert.match(answer, /"instance"/)
      for (const path of ['/', '/page.js', '/page.css'])
        assert.equal((await fetch(`${running.url}${path}`)).status, 200, path)

      await writeExamples(directory, ['README.md'])
      const installed = await running.cli('plugin', 'install', join(directory, 'scaler'), '--json')
      assert.equal(installed.code, 0, installed.stderr)
      assert.equal((JSON.parse(installed.stdout) as Plugin).state, 'serving')
      assert.equal(await running.stop(), 0)

      // A store that is not empty is read by a process of its own before it is opened.
      const again = await startOrchestry(t, { command: [bin], env, dataDir })
      assert.equal((await again.api<{ desired: number }>('/api/v1/apps/shop')).desired, 1)
      assert.equal(await again.stop(), 0)
    },
  )

  await t.test('the demo runs, and leaves nothing when it is interrupted', async (t) => {
    const temporary = await tempDir(t)
    const child = spawn(bin, ['demo'], { env: { ...env, TMPDIR: temporary }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
    t.after(() => child.kill('SIGKILL'))
    await waitFor(() => / 1 s {2}quiet/.test(output), { timeoutMs: 20_000, what: 'the first line of the demo' })
    child.kill('SIGINT')
    assert.notEqual(await ended, 0)
    assert.match(output, /interrupted; nothing is left running/)
    assert.deepEqual(await readdir(temporary), [])
  })
})
