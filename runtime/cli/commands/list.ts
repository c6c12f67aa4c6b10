import type { AppAnswer, AppPage } from '../answers.ts'
import type { Client } from '../client.ts'
import { type Declare, reads } from '../command.ts'
import { replicas, routeText, state } from '../format.ts'
import { styled, type Terminal } from '../terminal.ts'

type Options = { url?: string; json?: boolean; label?: string }

export const declare: Declare = (command, cli) => {
  reads(command)
    .option('-l, --label <name[=value]>', 'only apps with this label')
    .action(async (options: Options) => {
      const apps = await allApps(cli.client(options), options.label)
      if (options.json) return cli.terminal.json(apps)
      await showApps(cli.terminal, apps)
    })
}

export async function allApps(client: Client, label?: string): Promise<AppAnswer[]> {
  const apps: AppAnswer[] = []
  let after: string | undefined
  do {
    const page = await client.call<AppPage>('GET', '/api/v1/apps', { query: { after, label, limit: 500 } })
    apps.push(...page.apps)
    after = page.next
  } while (after !== undefined)
  return apps
}

export async function showApps(terminal: Terminal, apps: readonly AppAnswer[]): Promise<void> {
  if (apps.length === 0) return terminal.say('No apps yet. Register one with: orchestry apply -f app.yaml')
  await terminal.table(
    ['NAME', 'PHASE', 'REPLICAS', 'SCALING', 'ROUTE', 'PROBLEM'],
    apps.map((app) => [
      styled('bold', app.name),
      state(app.phase),
      replicas(app),
      scalingText(app),
      routeText(app.route),
      app.problems[0] ?? '',
    ]),
  )
}

export function scalingText({ mode, minReplicas, maxReplicas, paused }: AppAnswer): string {
  const suspended = paused === 'none' ? '' : paused === 'all' ? ', paused' : `, ${paused} paused`
  return `${mode} ${minReplicas}–${maxReplicas}${suspended}`
}
