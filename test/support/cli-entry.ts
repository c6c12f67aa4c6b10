/** What `runtime/main.ts` is to the launcher, without the runtime: `serve` and `demo` only tell that they were called. */
import { runCli } from '../../runtime/cli/cli.ts'

process.exitCode = await runCli(
  {
    serve: async (settings) => void process.stdout.write(`serve ${JSON.stringify(settings)}\n`),
    demo: async () => void process.stdout.write('demo\n'),
    version: '1.2.3',
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
  },
  process.argv,
)
