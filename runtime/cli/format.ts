/** How values look to people. Pure. */
import { type Part, styled } from './terminal.ts'

/** `2026-01-31 12:00:05` in the local time zone of whoever looks. */
export function time(atMs: number): string {
  const date = new Date(atMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** At most three digits behind the point, and none that say nothing. */
export function number(value: number): string {
  return String(Number(value.toFixed(value >= 100 ? 0 : 3)))
}

export function since(fromMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - fromMs) / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

const good = new Set(['running', 'serving', 'healthy', 'closed', 'out'])
const poor = new Set(['degraded', 'unhealthy', 'failed', 'quarantined', 'open'])
const passing = new Set([
  'progressing',
  'starting',
  'restarting',
  'activating',
  'draining',
  'stopping',
  'halfOpen',
  'in',
])

/** A word for a state, in the colour that says whether to worry. */
export function state(word: string): Part {
  if (good.has(word)) return styled('green', word)
  if (poor.has(word)) return styled('red', word)
  return passing.has(word) ? styled('yellow', word) : word
}

export function replicas({
  serving,
  desired,
  isRunning,
}: {
  serving: number
  desired: number
  isRunning: boolean
}): string {
  return isRunning ? `${serving}/${desired}` : `${serving} (${desired} when started)`
}

export const routeText = ({ host, path }: { host?: string; path: string }) => `${host ?? ''}${path}`
