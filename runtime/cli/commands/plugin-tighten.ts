/** `plugin tighten`: what a plugin may do and never did, as a difference that can be applied. */
import type { TightenedBinding, TightenView } from '../answers.ts'
import { pathOfPlugin } from '../client.ts'
import type { Cli } from '../command.ts'
import { usageError } from '../exit.ts'
import { time } from '../format.ts'
import { styled, type Terminal } from '../terminal.ts'

export interface TightenOptions {
  readonly url?: string
  readonly json?: boolean
  readonly instance?: string
  readonly apply?: boolean
  readonly undo?: boolean
}

export async function tightenPlugin(cli: Cli, id: string, options: TightenOptions): Promise<void> {
  const { terminal } = cli
  if (options.apply === true && options.undo === true)
    throw usageError('--apply takes away and --undo gives back; only one of them can be done. Nothing was changed.')
  const body = {
    ...(options.apply === true && { apply: true }),
    ...(options.undo === true && { undo: true }),
    ...(options.instance !== undefined && { instance: options.instance }),
  }
  const sent = cli.client(options).call<TightenView>('POST', pathOfPlugin(id, '/tighten'), { body })
  const view = await terminal.during(`looking at what ${id} used`, sent)
  if (options.json) return terminal.json(view)
  if (options.undo === true) {
    if (!view.isApplied) return terminal.say('Nothing was taken away from it before. Nothing was changed.')
    return terminal.say(styled('green', 'given back'), '  it may do again all that was agreed to')
  }
  for (const { name, bindings } of view.instances) {
    terminal.say(styled('bold', view.id), `  ${name}`)
    if (bindings.length === 0) terminal.say('  may nothing but compute')
    for (const binding of bindings) sayBinding(terminal, binding)
  }
  if (view.isApplied) {
    terminal.say(styled('green', 'applied'), '  it serves with what stays')
    return terminal.say(`To give it back: orchestry plugin tighten ${id} --undo`)
  }
  if (view.instances.some(({ isTighter }) => isTighter))
    return terminal.say(`Nothing was changed. To apply it: orchestry plugin tighten ${id} --apply`)
  terminal.say('Nothing can be taken away.')
}

const words: Record<TightenedBinding['outcome'], string> = {
  narrower: 'can be narrower',
  dropped: 'optional and never used: can go',
  kept: 'needed as it is',
  unused: 'never used: could be refused, but the plugin counts on it',
  untraced: 'used without asking each time: nothing is known of it',
}

function sayBinding(
  terminal: Terminal,
  { binding, outcome, before, after, allowed, denied, sinceMs }: TightenedBinding,
) {
  const rests = sinceMs === undefined ? 'not watched yet' : `${allowed} uses since ${time(sinceMs)}`
  const refused = denied === 0 ? '' : `, ${denied} refused`
  terminal.say(`  ${binding}  `, styled('dim', `${rests}${refused}`), `  ${words[outcome]}`)
  const [old, now] = [scopeOf(before), after === undefined ? new Map<string, unknown>() : scopeOf(after)]
  if (outcome === 'dropped') return terminal.say(styled('red', `    - ${JSON.stringify(Object.fromEntries(old))}`))
  if (outcome !== 'narrower') return
  for (const field of new Set([...old.keys(), ...now.keys()])) {
    const [gone, stays, added] = differenceOf(old.get(field), now.get(field))
    for (const value of gone) terminal.say(styled('red', `    - ${field} ${value}`))
    for (const value of stays) terminal.say(`      ${field} ${value}`)
    for (const value of added) terminal.say(styled('green', `    + ${field} ${value}`))
  }
}

const descriptive = new Set(['kind', 'as', 'why', 'optional'])
const scopeOf = (record: object) =>
  new Map<string, unknown>(Object.entries(record).filter(([key]) => !descriptive.has(key)))

/** Lists item by item, anything else whole. */
function differenceOf(before: unknown, after: unknown): [string[], string[], string[]] {
  const texts = (value: unknown) =>
    value === undefined ? [] : (Array.isArray(value) ? value : [value]).map((item) => JSON.stringify(item))
  const [old, now] = [texts(before), texts(after)]
  return [
    old.filter((text) => !now.includes(text)),
    old.filter((text) => now.includes(text)),
    now.filter((text) => !old.includes(text)),
  ]
}
