/** What tests have left on the machine: whatever they start names their folder, or stands in these lists of the system. */
import { readdirSync, readFileSync } from 'node:fs'
import { processesNaming } from './processes.ts'

export interface MachineLook {
  /** Network interfaces that engines make. */
  readonly links: ReadonlySet<string>
  /** Processes inside containers, as `pid command`. */
  readonly contained: ReadonlySet<string>
}

/** Empty where there is no /proc. */
export function lookAtMachine(): MachineLook {
  return {
    links: new Set(list('/sys/class/net').filter((name) => /^(br-|docker|veth)/.test(name))),
    contained: contained(),
  }
}

/** Processes that name the folder, and mounts below it. */
export function leftIn(dir: string): string[] {
  const named = process.platform === 'linux' ? processesNaming(dir) : []
  const processes = named.map(({ pid, command }) => `process ${pid}: ${command.trim()}`)
  const mounts = read('/proc/self/mounts')
    .split('\n')
    .map((line) => (line.split(' ')[1] ?? '').replaceAll('\\040', ' '))
    .filter((path) => path.startsWith(`${dir}/`))
  return [...processes, ...mounts.map((path) => `mount ${path}`)]
}

/** What engines made and did not take away. On a machine that others use as well, it may be theirs. */
export function leftSince(before: MachineLook): string[] {
  const now = lookAtMachine()
  return [
    ...[...now.links].filter((one) => !before.links.has(one)).map((name) => `network interface ${name}`),
    ...[...now.contained].filter((one) => !before.contained.has(one)).map((text) => `process in a container ${text}`),
  ]
}

function contained(): Set<string> {
  const pids = list('/proc').filter((name) => /^\d+$/.test(name))
  const inside = pids.filter((pid) => /docker[-/][0-9a-f]{64}/.test(read(`/proc/${pid}/cgroup`)))
  return new Set(inside.map((pid) => `${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()}`))
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** Empty for what is not there, or not any more. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
