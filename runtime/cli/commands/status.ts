import type { AppAnswer, InstanceList, InstanceView, MetricsAnswer } from '../answers.ts'
import { pathOfApp } from '../client.ts'
import { type Cli, type Declare, reads } from '../command.ts'
import { number, replicas, routeText, since, state, time } from '../format.ts'
import { styled } from '../terminal.ts'
import { allApps, scalingText, showApps } from './list.ts'

type Options = { url?: string; json?: boolean }

export const declare: Declare = (command, cli) => {
  reads(command)
    .argument('[app]', 'all apps where none is named')
    .action(async (name: string | undefined, options: Options) => {
      const client = cli.client(options)
      if (name === undefined) {
        const apps = await allApps(client)
        return options.json ? cli.terminal.json(apps) : showApps(cli.terminal, apps)
      }
      const [app, { instances }, metrics] = await Promise.all([
        client.call<AppAnswer>('GET', pathOfApp(name)),
        client.call<InstanceList>('GET', pathOfApp(name, '/instances')),
        client.call<MetricsAnswer>('GET', pathOfApp(name, '/metrics')),
      ])
      if (options.json) return cli.terminal.json({ ...app, instances, metrics: metrics.metrics })
      await show(cli, app, instances, metrics)
    })
}

async function show(
  { terminal }: Cli,
  app: AppAnswer,
  instances: readonly InstanceView[],
  { metrics, atMs }: MetricsAnswer,
) {
  terminal.say(styled('bold', app.name), '  ', state(app.phase), `  replicas ${replicas(app)}`)
  terminal.say(`route     ${routeText(app.route)}${app.url === undefined ? '' : `  at ${app.url}`}`)
  terminal.say(`scaling   ${scalingText(app)}`)
  for (const fact of containerFacts(app)) terminal.say(fact)
  const load = Object.entries(metrics).flatMap(([name, window]) => (window ? [`${name} ${number(window.last)}`] : []))
  terminal.say(`load      ${load.join('  ') || 'no fresh sample'}`)
  if (app.decision) {
    const { action, from, to, reason, atMs: decidedMs } = app.decision
    const what = action === 'hold' ? `hold at ${to}` : `${action} ${from} → ${to}`
    terminal.say(`decision  ${what}: ${reason} (${time(decidedMs)})`)
  }
  if (app.rollout !== undefined) terminal.say(`rollout   ${app.rollout}`)
  for (const line of app.progress ?? []) terminal.say(`fetching  ${line}`)
  for (const problem of app.problems) terminal.say(styled('red', 'problem'), `   ${problem}`)
  if (instances.length === 0) return
  terminal.say('')
  await terminal.table(
    ['REPLICA', 'STATE', 'HEALTH', 'ADDRESS', 'PID', 'AGE', 'VERSION'],
    instances.map(({ id, rotation, health, host, port, pid, startedAtMs, isCurrentVersion }) => [
      id,
      state(rotation),
      state(health?.status ?? 'unchecked'),
      `${host}:${port}`,
      String(pid ?? ''),
      since(startedAtMs, atMs),
      isCurrentVersion ? 'current' : styled('yellow', 'old'),
    ]),
  )
}

/** What the app's containers are made of, as far as its spec says it. */
function containerFacts({ image, ports, volumes = [], security, resources }: AppAnswer): string[] {
  if (image === undefined) return []
  const { cpuMilli, memoryBytes, pids } = resources
  const bounds = [
    ...(cpuMilli === undefined ? [] : [`cpu ${cpuMilli}m`]),
    ...(memoryBytes === undefined ? [] : [`memory ${number(memoryBytes / 1024 / 1024)}Mi`]),
    ...(pids === undefined ? [] : [`pids ${pids}`]),
  ]
  const rights = [
    ...(security?.runAsUser === undefined ? [] : [`user ${security.runAsUser}`]),
    ...(security?.isRootWritable ? ['writable root'] : []),
    ...(security?.capabilities ?? []),
  ]
  const mounts = volumes.map(({ name, mountPath, isReadOnly }) => `${name}:${mountPath}${isReadOnly ? ':ro' : ''}`)
  return [
    `image     ${image}  ports ${ports.map(({ containerPort, protocol }) => `${containerPort} ${protocol}`).join(', ')}`,
    ...(bounds.length === 0 ? [] : [`limits    ${bounds.join('  ')}`]),
    ...(rights.length === 0 ? [] : [`rights    ${rights.join(', ')}`]),
    ...(mounts.length === 0 ? [] : [`volumes   ${mounts.join(', ')}`]),
  ]
}
