/**
 * Runs every test with node:test; those of attacks a second time at the weakest tier of confinement that strangers' plugins
 * get. With CI=true a skipped test is a failure, because there everything can be installed. What tests leave running or mounted is a
 * failure everywhere.
 */
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { leftIn, leftSince, lookAtMachine } from './support/leftovers.ts'
import { waitFor } from './support/wait-for.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const patterns = process.argv.slice(2)
const filesOf = (globs: readonly string[]) =>
  globSync([...globs], { cwd: root, exclude: (path) => path.includes('node_modules') })
    .map((file) => join(root, file))
    .sort()
const files = filesOf(patterns.length > 0 ? patterns : ['test/**/*.test.ts', 'plugins-*/**/*.test.ts'])
if (files.length === 0) {
  process.stderr.write(`no test file matches ${patterns.join(' ')}\n`)
  process.exit(1)
}
/** Itself runs at both tiers. */
const atBothTiers = join(root, 'test/hostile/front-door.test.ts')
const again = patterns.length > 0 ? [] : filesOf(['test/hostile/*.test.ts']).filter((file) => file !== atBothTiers)

const isCi = process.env.CI === 'true'
const skipped: string[] = []
let failed = 0

async function runAll(all: readonly string[]): Promise<void> {
  const stream = run({
    files: [...all],
    concurrency: 2,
    timeout: 180_000,
    execArgv: ['--conditions=@orchestry/source', '--disable-warning=ExperimentalWarning'],
    cwd: root,
  })
  stream.on('test:fail', () => {
    failed += 1
  })
  stream.on('test:pass', (test) => {
    if (test.skip !== undefined && test.skip !== false) skipped.push(`${test.name} (${test.skip})`)
  })
  stream.compose(new spec()).pipe(process.stdout, { end: false })
  await once(stream, 'end')
}

/** Everything temporary lies in here, so that what is left in the end can be told from what others do on this machine. */
const dir = await realpath(await mkdtemp(join(tmpdir(), 'orc-')))
await chmod(dir, 0o1777)
process.env.TMPDIR = dir
const before = lookAtMachine()

await runAll(files)
if (again.length > 0) {
  process.stdout.write('\nattacks once more, at tier 1\n')
  process.env.ORCHESTRY_TEST_TIER = '1'
  await runAll(again)
}
if (skipped.length > 0) process.stdout.write(`\nskipped:\n${skipped.map((name) => `  ${name}`).join('\n')}\n`)

// Who was just told to end may need a moment.
await waitFor(() => leftIn(dir).length === 0, { timeoutMs: 10_000, everyMs: 100 }).catch(() => undefined)
// What is not in our folder counts only where nobody else works.
const left = [...leftIn(dir), ...(isCi ? leftSince(before) : [])]
if (left.length > 0) process.stdout.write(`\nleft over:\n${left.map((one) => `  ${one}`).join('\n')}\n`)
else await rm(dir, { recursive: true, force: true })
if (left.length > 0 || failed > 0 || (isCi && skipped.length > 0)) process.exitCode = 1
