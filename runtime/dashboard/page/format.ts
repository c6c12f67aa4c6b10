/** Figures and times as people read them. */

/** Three digits that matter; `–` for what is not known, which is not the same as zero. */
export function figure(value: number | null | undefined): string {
  if (value === undefined || value === null || !Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size >= 100_000) return value.toLocaleString('en', { notation: 'compact', maximumFractionDigits: 1 })
  const decimals = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2
  return value.toLocaleString('en', { maximumFractionDigits: decimals })
}

/** How long ago, in the largest unit that fits; `now` for less than two seconds. */
export function ago(atMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - atMs) / 1000))
  if (seconds < 2) return 'now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`
  return `${Math.floor(seconds / 86_400)} d ago`
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

const longestText = 160

/** What an event carries, in one line: names and values, the long ones cut. */
export function oneLine(data: Readonly<Record<string, unknown>>): string {
  return Object.entries(data)
    .filter(([, value]) => value !== null && value !== '' && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => `${name} ${cut(typeof value === 'string' ? value : JSON.stringify(value))}`)
    .join(' · ')
}

function cut(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}…` : text
}
