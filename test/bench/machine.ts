/** The machine in one line, because figures mean nothing without it. */
import { readFileSync } from 'node:fs'
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os'

/** @param dir where the benchmarks keep their state: on a memory file system nothing that is durable costs anything. */
export function describeMachine(dir: string): string {
  const all = cpus()
  const model = all[0]?.model.trim() || 'unknown CPU'
  return [
    `node ${process.version}`,
    `${platform()} ${arch()} ${release()}`,
    `${all.length} × ${model}`,
    `${Math.round(totalmem() / 2 ** 30)} GB`,
    `load ${loadavg()[0]?.toFixed(1)}`,
    `state on ${fileSystemOf(dir)}`,
  ].join(' · ')
}

function fileSystemOf(dir: string): string {
  try {
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, point]) => point !== undefined && `${dir}/`.startsWith(point.endsWith('/') ? point : `${point}/`))
    return mounts.sort(([, a = ''], [, b = '']) => b.length - a.length)[0]?.[2] ?? 'an unknown file system'
  } catch {
    return 'an unknown file system'
  }
}
