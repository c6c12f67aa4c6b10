/** Every command: its name and one line, and where the rest of it is. A file is loaded only when its command is used. */
import type { Declare } from './command.ts'

export interface Row {
  readonly name: string
  readonly alias?: string
  readonly summary: string
  readonly group: 'Orchestry' | 'Apps' | 'Plugins' | 'Secrets'
  load(): Promise<Declare>
}

export const commandTable: readonly Row[] = [
  {
    name: 'serve',
    summary: 'run Orchestry in this terminal',
    group: 'Orchestry',
    load: async () => (await import('./commands/serve.ts')).declareServe,
  },
  {
    name: 'demo',
    summary: 'watch it scale a demo app under load, in under a minute',
    group: 'Orchestry',
    load: async () => (await import('./commands/serve.ts')).declareDemo,
  },
  {
    name: 'info',
    summary: 'is it ready, and what does it run',
    group: 'Orchestry',
    load: async () => (await import('./commands/info.ts')).declareInfo,
  },
  {
    name: 'config',
    summary: 'the settings of the running Orchestry',
    group: 'Orchestry',
    load: async () => (await import('./commands/info.ts')).declareConfig,
  },
  {
    name: 'apply',
    alias: 'register',
    summary: 'create or change apps as their specs say',
    group: 'Apps',
    load: async () => (await import('./commands/apply.ts')).declare,
  },
  {
    name: 'list',
    alias: 'ls',
    summary: 'all apps',
    group: 'Apps',
    load: async () => (await import('./commands/list.ts')).declare,
  },
  {
    name: 'status',
    summary: 'one app with its replicas, or all apps',
    group: 'Apps',
    load: async () => (await import('./commands/status.ts')).declare,
  },
  {
    name: 'up',
    summary: 'run an app',
    group: 'Apps',
    load: async () => (await import('./commands/run.ts')).declareUp,
  },
  {
    name: 'down',
    summary: 'drain and stop all replicas of an app',
    group: 'Apps',
    load: async () => (await import('./commands/run.ts')).declareDown,
  },
  {
    name: 'rollout',
    summary: 'follow, undo and look back at the rollouts of an app',
    group: 'Apps',
    load: async () => (await import('./commands/rollout.ts')).declare,
  },
  {
    name: 'scale',
    summary: 'set the number of replicas by hand',
    group: 'Apps',
    load: async () => (await import('./commands/scale.ts')).declare,
  },
  {
    name: 'pause',
    summary: 'suspend automatic scaling',
    group: 'Apps',
    load: async () => (await import('./commands/pause.ts')).declarePause,
  },
  {
    name: 'resume',
    summary: 'let an app scale again',
    group: 'Apps',
    load: async () => (await import('./commands/pause.ts')).declareResume,
  },
  {
    name: 'decisions',
    alias: 'why',
    summary: 'why an app has as many replicas as it has',
    group: 'Apps',
    load: async () => (await import('./commands/decisions.ts')).declare,
  },
  {
    name: 'events',
    summary: 'what has happened',
    group: 'Apps',
    load: async () => (await import('./commands/events.ts')).declare,
  },
  {
    name: 'logs',
    summary: 'what the replicas of an app wrote',
    group: 'Apps',
    load: async () => (await import('./commands/logs.ts')).declare,
  },
  {
    name: 'metrics',
    summary: 'what is measured of an app',
    group: 'Apps',
    load: async () => (await import('./commands/metrics.ts')).declare,
  },
  {
    name: 'health',
    summary: 'what the health checks of an app found',
    group: 'Apps',
    load: async () => (await import('./commands/health.ts')).declare,
  },
  {
    name: 'spec',
    summary: 'the spec of an app as it was submitted',
    group: 'Apps',
    load: async () => (await import('./commands/spec.ts')).declare,
  },
  {
    name: 'delete',
    summary: 'stop an app and forget it',
    group: 'Apps',
    load: async () => (await import('./commands/delete.ts')).declare,
  },
  {
    name: 'plugin',
    summary: 'install, show and configure plugins',
    group: 'Plugins',
    load: async () => (await import('./commands/plugin.ts')).declare,
  },
  {
    name: 'secret',
    summary: 'set, list and remove secrets of apps and plugins',
    group: 'Secrets',
    load: async () => (await import('./commands/secret.ts')).declare,
  },
]
