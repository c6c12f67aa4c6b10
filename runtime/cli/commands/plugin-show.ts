/** One plugin for the eyes of an operator. */
import type { PluginView } from '../answers.ts'
import { number, state, time } from '../format.ts'
import { styled, type Terminal } from '../terminal.ts'

const incidentsShown = 10

export function showPlugin(terminal: Terminal, plugin: PluginView): void {
  const { id, version, source, state: word, problem, hooks, restarts, memoryMb, pid, limits } = plugin
  terminal.say(styled('bold', id), ` ${version}  `, state(word))
  if (problem !== undefined) terminal.say(`why       ${problem}`)
  terminal.say(`from      ${source.kind} ${source.path}`)
  terminal.say(`serves    ${hooks.join(', ') || 'nothing'}`)
  terminal.say(
    `sandbox   ${pid === undefined ? 'not running' : `pid ${pid}, ${number(memoryMb)} MB`}, ${restarts} restarts`,
  )
  const { jit, ...bounds } = limits
  const texts = Object.entries(bounds).map(([name, value]) => `${name} ${value}`)
  terminal.say(`limits    ${texts.join(', ')}, ${jit ? 'with' : 'without'} JIT`)
  sayCapabilities(terminal, plugin)
  for (const { name, config, isDefault, breaker, usage } of plugin.instances) {
    terminal.say(`instance  ${name}${isDefault ? ' (default)' : ''}, breaker `, state(breaker))
    terminal.say(`  config  ${config === undefined ? 'none' : JSON.stringify(config)}`)
    if (!usage) continue
    const { calls, errors, cpuMs, heapMb, peakHeapMb, hostCalls } = usage
    terminal.say(
      `  usage   ${calls} calls, ${errors} errors, ${number(cpuMs)} ms CPU, heap ${number(heapMb)} MB (peak ${number(peakHeapMb)}), ${hostCalls} host calls`,
    )
  }
  for (const { code, message, hook, instance, atMs } of plugin.incidents.slice(-incidentsShown)) {
    const where = [instance, hook].filter((part) => part !== undefined).join(' ')
    terminal.say('incident  ', styled('dim', time(atMs)), '  ', styled('red', code), `  ${where}  ${message}`)
  }
}

/** What it may do and what its author says why. */
export function sayCapabilities(terminal: Terminal, { capabilities }: PluginView): void {
  if (capabilities.length === 0) return terminal.say('may       nothing but compute')
  for (const { kind, as, why, optional: _, ...scope } of capabilities) {
    const limits = Object.entries(scope).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
    const named = as === undefined ? kind : `${kind} as ${as}`
    terminal.say(`may       ${[named, ...limits].join(' ')}${why === undefined ? '' : `: ${why}`}`)
  }
}

export async function showUsage(terminal: Terminal, { id, instances, memoryMb, restarts }: PluginView): Promise<void> {
  terminal.say(styled('bold', id), `  ${number(memoryMb)} MB, ${restarts} restarts`)
  await terminal.table(
    ['INSTANCE', 'BREAKER', 'CALLS', 'ERRORS', 'CPU MS', 'WALL MS', 'HEAP MB', 'PEAK MB', 'HOST CALLS', 'IN', 'OUT'],
    instances.map(({ name, breaker, usage }) => [
      name,
      state(breaker),
      ...(usage
        ? [
            usage.calls,
            usage.errors,
            usage.cpuMs,
            usage.wallMs,
            usage.heapMb,
            usage.peakHeapMb,
            usage.hostCalls,
            usage.bytesIn,
            usage.bytesOut,
          ].map(number)
        : Array.from({ length: 9 }, () => '')),
    ]),
  )
}
