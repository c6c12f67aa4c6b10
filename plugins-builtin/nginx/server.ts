/** Which configuration is live, how another becomes it, and what nginx said when it refused one. */
import type { Context } from '@orchestry/sdk'
import { closingFile, type Rendered } from './render.ts'
import type { Settings } from './settings.ts'
import { type Site, siteOf } from './site.ts'

const candidate = 'next.conf'
const lookMs = 100
const changeMs = 8_000
/** nginx asks its old workers to end a tenth of a second after the new ones have begun. */
const handOverMs = 150

/** Undefined when nginx does not answer. */
export async function liveId(ctx: Context, { statusPort }: Settings): Promise<string | undefined> {
  try {
    const url = `http://127.0.0.1:${statusPort}/generation`
    const { status, body } = await ctx.net.fetch({ url, timeoutMs: 1_000 })
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
  before: string | undefined,
): Promise<void> {
  const site = siteOf(ctx, settings)
  await ctx.files.write('own', candidate, next.candidate)
  const tested = await ctx.exec.run('test')
  if (tested.code !== 0) throw new Error(`nginx does not take the configuration: ${complaint(tested.stderr)}`)
  if (!(await site.isRunning())) return await start(ctx, settings, site, next)
  if (before === undefined || settings.closingMs === 0) return await change(ctx, settings, site, next)
  // nginx cuts idle connections of old workers at once, and with them requests that are just on their way there: of every app,
  // so also where a replica has died, whose own requests find another meanwhile.
  await site.raiseFlag(closingFile(before))
  try {
    await ctx.timers.sleep(settings.closingMs)
    await change(ctx, settings, site, next)
  } finally {
    await site.lowerFlag(closingFile(before))
  }
}

async function start(ctx: Context, settings: Settings, site: Site, next: Rendered): Promise<void> {
  await site.writeLive(next.text)
  await site.start()
  if (await becomes(ctx, settings, site, next.id, undefined)) return
  const output = await site.output()
  await site.stop()
  throw new Error(`nginx did not start: ${complaint(output)}`)
}

async function change(ctx: Context, settings: Settings, site: Site, next: Rendered): Promise<void> {
  const last = await site.readLive()
  const emergency = (await site.output()).split('\n').findLast(isEmergency)
  await site.writeLive(next.text)
  try {
    await site.reload()
    await ctx.timers.sleep(handOverMs)
    if (await becomes(ctx, settings, site, next.id, emergency)) return
    throw new Error(`it went on with the one before: ${complaint(await site.output())}`)
  } catch (thrown) {
    if (last !== undefined) {
      await site.writeLive(last)
      await site.reload().catch(() => {})
    }
    throw new Error(
      `nginx did not take the configuration. ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    )
  }
}

/** `emergency` is what it said last before: anything newer says that it will not. */
async function becomes(
  ctx: Context,
  settings: Settings,
  site: Site,
  id: string,
  emergency: string | undefined,
): Promise<boolean> {
  const untilMs = ctx.clock.now() + changeMs
  while (ctx.clock.now() < untilMs) {
    if ((await liveId(ctx, settings)) === id) return true
    const isRefused = (await site.output()).split('\n').findLast(isEmergency) !== emergency
    if (isRefused || !(await site.isRunning())) break
    await ctx.timers.sleep(lookMs)
  }
  return (await liveId(ctx, settings)) === id
}

/** At the end of several tries it only says that they were in vain. */
const isEmergency = (line: string) => line.includes('[emerg]') && !line.includes('still could not bind')

/** nginx's own line about what is wrong: the last of the worst. */
export function complaint(output: string): string {
  const lines = output.split('\n').filter((line) => /\[(emerg|alert|crit)\]/.test(line))
  const found = lines.findLast(isEmergency) ?? lines.at(-1)
  const text = found?.replace(/^\S+ \S+ (?=\[)/, '').replace(/^nginx: /, '') ?? output.trim().split('\n').at(-1)
  return text === undefined || text === '' ? 'it did not say why' : text.slice(0, 300)
}
