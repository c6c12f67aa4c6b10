/** One plugin for the eyes of an operator. */
import type { PluginLogLine, PluginView } from '../answers.ts'
import { number, state, time } from '../format.ts'
import { styled, type Terminal } from '../terminal.ts'
import { sayPending } from './plugin-install.ts'

const incidentsShown = 10
/** What was done about an incident. */
const actions: Readonly<Record<NonNullable<PluginView['incidents'][number]['action']>, string>> = {
  refused: 'refused',
  isolateReplaced: 'its isolate was replaced',
  processKilled: 'its process was killed',
  processReplaced: 'its process was replaced',
  quarantined: 'quarantined',
}

/** Who it was that bounded a limit. */
const bounders = { manifest: 'manifest', policy: '--plugin-limits', ceiling: 'the most there is' } as const

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
  const by = Object.entries(plugin.limitsBoundBy ?? {})
  const bounded = new Map<string, string>(
    by.flatMap(([name, who]) => (who === 'default' ? [] : [[name, bounders[who]]])),
  )
  const texts = Object.entries(bounds).map(([name, value]) => {
    const who = bounded.get(name)
    return who === undefined ? `${name} ${value}` : `${name} ${value} (${who})`
  })
  terminal.say(`limits    ${texts.join(', ')}, ${jit ? 'with' : 'without'} JIT`)
  sayCapabilities(terminal, plugin)
  if (plugin.pending !== undefined) sayPending({ terminal }, plugin.pending)
  for (const { name, config, isDefault, breaker, usage } of plugin.instances) {
    terminal.say(`instance  ${name}${isDefault ? ' (default)' : ''}, breaker `, state(breaker))
    terminal.say(`  config  ${config === undefined ? 'none' : JSON.stringify(config)}`)
    if (!usage) continue
    const { calls, errors, cpuMs, heapMb, peakHeapMb, hostCalls } = usage
    terminal.say(
      `  usage   ${calls} calls, ${errors} errors, ${number(cpuMs)} ms CPU, heap ${number(heapMb)} MB (peak ${number(peakHeapMb)}), ${hostCalls} host calls`,
    )
  }
  for (const { code, message, hook, instance, app, line, action, atMs } of plugin.incidents.slice(-incidentsShown)) {
    const about = app === undefined ? undefined : `app ${app}`
    const where = [instance, hook, about, line].filter((part) => part !== undefined).join(' ')
    const done = action === undefined ? '' : ` → ${actions[action]}`
    terminal.say('incident  ', styled('dim', time(atMs)), '  ', styled('red', code), `  ${where}  ${message}${done}`)
  }
}

/** What it may do and what its author says why; for each instance where their configs make a difference. */
export function sayCapabilities(terminal: Terminal, { id, capabilities, instances }: PluginView): void {
  const isOneForAll = new Set(instances.map(({ grants }) => JSON.stringify(grants))).size <= 1
  if (isOneForAll) sayGrants(terminal, capabilities)
  else for (const { name, grants } of instances) sayGrants(terminal, grants, `${name}: `)
  for (const { name, isTightened } of instances)
    if (isTightened)
      terminal.say(
        `tightened ${name} may do less than was agreed to; orchestry plugin tighten ${id} --undo gives it back`,
      )
}

function sayGrants(terminal: Terminal, grants: PluginView['capabilities'], of = ''): void {
  if (grants.length === 0) return terminal.say(`may       ${of}nothing but compute`)
  for (const { kind, as, why, optional: _, ...scope } of grants) {
    const limits = Object.entries(scope).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
    const named = as === undefined ? kind : `${kind} as ${as}`
    terminal.say(`may       ${of}${[named, ...limits].join(' ')}${why === undefined ? '' : `: ${why}`}`)
  }
}

export function sayLogLine(terminal: Terminal, { atMs, level, instance, message, fields }: PluginLogLine): void {
  const look = level === 'error' ? 'red' : level === 'warn' ? 'yellow' : 'dim'
  const more = fields === undefined ? '' : `  ${fields}`
  terminal.say(styled('dim', time(atMs)), ' ', styled(look, level.padEnd(5)), ` ${instance} | ${message}${more}`)
}
