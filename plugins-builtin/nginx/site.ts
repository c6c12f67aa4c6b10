/** The nginx that is driven: one of our own, or one that runs already. */
import type { Context, FilesCapability } from '@orchestry/sdk'
import type { Settings } from './settings.ts'

export interface Site {
  /** Undefined where there is none yet. */
  readLive(): Promise<string | undefined>
  writeLive(text: string): Promise<void>
  /** Sees to it that it runs. */
  start(): Promise<void>
  stop(): Promise<void>
  reload(): Promise<void>
  /** False where it ended, or never ran; one of somebody else's is taken to run. */
  isRunning(): Promise<boolean>
  /** What it wrote last, to find out why it refused something. */
  output(): Promise<string>
  raiseFlag(name: string): Promise<void>
  lowerFlag(name: string): Promise<void>
  /** How many processes it has; undefined where that cannot be told. */
  processes(): Promise<number | undefined>
  readonly log: {
    readonly files: FilesCapability
    readonly root: string
    readonly path: string
    /** Begins a new one; absent where others see to that. */
    readonly rotate?: () => Promise<void>
  }
}

export const siteOf = (ctx: Context, settings: Settings): Site =>
  settings.existing === undefined ? ownSite(ctx) : existingSite(ctx, settings.existing)

function ownSite({ files, exec }: Context): Site {
  const status = () => exec.status('serve')
  return {
    readLive: () => files.read('own', 'nginx.conf').catch(() => undefined),
    writeLive: (text) => files.write('own', 'nginx.conf', text),
    start: async () => void (await exec.start('serve')),
    stop: () => exec.stop('serve'),
    reload: () => exec.signal('serve', 'HUP'),
    isRunning: async () => (await status()).isRunning,
    output: async () => {
      const { output, problem } = await status()
      return problem ?? output
    },
    raiseFlag: (name) => files.write('own', name, ''),
    lowerFlag: (name) => files.remove('own', name),
    processes: async () => (await status()).processes,
    log: {
      files,
      root: 'own',
      path: 'access.log',
      async rotate() {
        await files.remove('own', 'access.log')
        await exec.signal('serve', 'USR1').catch(() => {})
      },
    },
  }
}

function existingSite(ctx: Context, { conf }: NonNullable<Settings['existing']>): Site {
  const files = ctx.theirFiles as FilesCapability
  const run = async (command: 'testAll' | 'reload') => {
    const { code, stderr } = await ctx.theirNginx.run(command)
    if (code !== 0) throw new Error(`nginx refused to ${command === 'reload' ? 'reload' : 'test it'}: ${stderr}`)
  }
  const nothing = async () => {}
  return {
    readLive: () => files.read('conf', 'orchestry.conf').catch(() => undefined),
    writeLive: (text) => files.write('conf', 'orchestry.conf', text),
    start: nothing,
    stop: nothing,
    async reload() {
      if (conf === undefined) return
      await run('testAll')
      await run('reload')
    },
    isRunning: async () => true,
    output: async () => 'see its error log',
    raiseFlag: (name) => files.write('conf', name, ''),
    lowerFlag: (name) => files.remove('conf', name),
    processes: async () => undefined,
    log: { files, root: 'log', path: 'orchestry-access.log' },
  }
}
