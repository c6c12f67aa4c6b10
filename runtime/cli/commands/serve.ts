import { Option } from 'commander'
import { type Settings, sandboxTiers } from '../../config.ts'
import { logLevels } from '../../log.ts'
import { type Declare, wholeFrom } from '../command.ts'

/** Only declares: the values are checked where the environment's are, and what runs is handed in. */
export const declareServe: Declare = (command, { deps }) => {
  command
    .option('--host <address>', 'loopback address of the API (ORCHESTRY_HOST; default: 127.0.0.1)')
    .option('--port <port>', 'of the API and the page (ORCHESTRY_PORT; default: 8000)', wholeFrom(0, 65_535))
    .option('--proxy-port <port>', "of the apps' traffic (ORCHESTRY_PROXY_PORT; default: 8080)", wholeFrom(0, 65_535))
    .option('--data-dir <dir>', 'where state is kept (ORCHESTRY_DATA_DIR)')
    .addOption(new Option('--log-level <level>', '(ORCHESTRY_LOG_LEVEL; default: info)').choices([...logLevels]))
    .addOption(
      new Option('--on-exit <what>', 'with replicas (ORCHESTRY_ON_EXIT; default: stop)').choices(['stop', 'keep']),
    )
    .option(
      '--plugin-limits <limits>',
      'the most any plugin gets, like memoryMb=64,cpuMs=500 (ORCHESTRY_PLUGIN_LIMITS)',
    )
    .option('--container-policy <json>', 'what apps may ask for of containers (ORCHESTRY_CONTAINER_POLICY)')
    .addOption(
      new Option(
        '--sandbox-tier <tier>',
        'how strictly plugins are confined, 3 is strictest (ORCHESTRY_SANDBOX_TIER; default: best)',
      ).choices([...sandboxTiers]),
    )
    .option(
      '--sandbox-floor <tier>',
      "least tier for plugins that are not Orchestry's own (ORCHESTRY_SANDBOX_FLOOR; default: 1)",
      wholeFrom(0, 3),
    )
    .action((settings: Settings) => deps.serve({ ...settings }))
}

export const declareDemo: Declare = (command, { deps }) => {
  command.action(() => deps.demo())
}
