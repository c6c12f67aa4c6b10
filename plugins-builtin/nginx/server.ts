/** nginx itself: which configuration is live, how another becomes it, and what it said when it refused one. */
import type { Context } from '@orchestry/sdk'
import { closingFile, type Rendered } from './render.ts'
import type { Settings } from './settings.ts'

const live = 'nginx.conf'
const candidate = 'next.conf'
const lookMs = 100
const startMs = 8_000
const reloadMs = 5_000
/** nginx asks its old workers to end a tenth of a second after the new ones have begun. */
const handOverMs = 150

/** Undefined when nginx does not answer. */
export async function liveId(ctx: Context, { statusPort }: Settings): Promise<string | undefined> {
  try {
    const { status, body } = await ctx.net.fetch({
      url: `http://127.0.0.1:${statusPort}/generation`,
      timeoutMs: 1_000,
    })
    return status === 200 && /^[0-9a-f]{28}$/.test(body) ? body : undefined
  } catch {
    return undefined
  }
}

/** Resolves when nginx serves this and nothing else. What it refuses leaves everything as it was. */
export async function goLive(
  ctx: Context,
  settings: Settings,
  next: Rendered,
  { before, isUrgent }: { before: string | undefined; isUrgent: boolean },
): Promise<void> {
  await ctx.files.write('own', candidate, next.text)
  const tested = await ctx.exec.run('test')
  if (tested.code !== 0) throw new Error(`nginx does not take the configuration: ${complaint(tested.stderr)}`)
  const { isRunning } = await ctx.exec.status('serve')
  if (!isRunning) return await start(ctx, settings, next)
  await reload(ctx, settings, next, { before, isUrgent })
}

async function start(ctx: Context, settings: Settings, next: Rendered): Promise<void> {
  await ctx.files.write('own', live, next.text)
  await ctx.exec.start('serve')
  if (await becomes(ctx, settings, next.id, startMs)) return
  const { output } = await ctx.exec.status('serve')
  await ctx.exec.stop('serve')
  throw new Error(`nginx did not start: ${complaint(output)}`)
}

async function reload(
  ctx: Context,
  settings: Settings,
  next: Rendered,
  { before, isUrgent }: { before: string | undefined; isUrgent: boolean },
): Promise<void> {
  const last = await ctx.files.read('own', live).catch(() => undefined)
  const isAnnounced = before !== undefined && !isUrgent && settings.closingMs > 0
  if (isAnnounced) {
    // nginx cuts idle connections of old workers at once, and with them requests that are just on their way there.
    await ctx.files.write('own', closingFile(before), '')
    await ctx.timers.sleep(settings.closingMs)
  }
  try {
    await ctx.files.write('own', live, next.text)
    await ctx.exec.signal('serve', 'HUP')
    await ctx.timers.sleep(handOverMs)
    if (await becomes(ctx, settings, next.id, reloadMs)) return
    const { output } = await ctx.exec.status('serve')
    if (last !== undefined) {
      await ctx.files.write('own', live, last)
      await ctx.exec.signal('serve', 'HUP')
    }
    throw new Error(`nginx did not take the configuration; the one before is live: ${complaint(output)}`)
  } finally {
    if (isAnnounced) await ctx.files.remove('own', closingFile(before))
  }
}

async function becomes(ctx: Context, settings: Settings, id: string, withinMs: number): Promise<boolean> {
  const untilMs = ctx.clock.now() + withinMs
  while (ctx.clock.now() < untilMs) {
    if ((await liveId(ctx, settings)) === id) return true
    const { isRunning, restarts } = await ctx.exec.status('serve')
    if (!isRunning || restarts > 0) break
    await ctx.timers.sleep(lookMs)
  }
  return (await liveId(ctx, settings)) === id
}

/** nginx's own line about what is wrong: the last of the worst. */
export function complaint(output: string): string {
  const lines = output.split('\n').filter((line) => /\[(emerg|alert|crit)\]/.test(line))
  const found = lines.findLast((line) => line.includes('[emerg]')) ?? lines.at(-1)
  const text = found?.replace(/^\S+ \S+ (?=\[)/, '').replace(/^nginx: /, '') ?? output.trim().split('\n').at(-1)
  return text === undefined || text === '' ? 'it did not say why' : text.slice(0, 300)
}
