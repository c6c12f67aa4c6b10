/** Looks at the machine's processes; Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

/** Processes (not zombies) whose command line or environment names `text`, a data directory for example. */
export function processesNaming(text: string): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'latin1').replaceAll('\0', ' ')
      const environment = readFileSync(`/proc/${entry}/environ`, 'latin1')
      if (command.includes(text) || environment.includes(text)) found.push({ pid: Number(entry), command })
    } catch {
      // It ended while we looked, or is not ours to look at.
    }
  }
  return found
}

export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
  } catch {
    return false
  }
}
