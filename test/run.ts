/** Runs every test with node:test. With CI=true a skipped test is a failure, because there everything can be installed. */
import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const patterns = process.argv.slice(2)
const files = globSync(patterns.length > 0 ? patterns : ['test/**/*.test.ts', 'plugins-*/**/*.test.ts'], {
  cwd: root,
  exclude: (path) => path.includes('node_modules'),
})
  .map((file) => join(root, file))
  .sort()
if (files.length === 0) {
  process.stderr.write(`no test file matches ${patterns.join(' ')}\n`)
  process.exit(1)
}

const isCi = process.env.CI === 'true'
const skipped: string[] = []
let failed = 0

const stream = run({
  files,
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
stream.on('end', () => {
  if (skipped.length > 0) process.stdout.write(`\nskipped:\n${skipped.map((name) => `  ${name}`).join('\n')}\n`)
  if (failed > 0 || (isCi && skipped.length > 0)) process.exitCode = 1
})
stream.compose(new spec()).pipe(process.stdout)
