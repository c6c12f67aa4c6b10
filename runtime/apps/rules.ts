/** What must hold between the fields of a spec. Pure. */

import { nearest } from '../nearest.ts'
import { checkContainer } from './container-rules.ts'
import { defaultDriver, defaultMaxReplicas, defaults } from './defaults.ts'
import { choice, type Finding, render } from './explain.ts'
import { checkResources } from './resource-rules.ts'
import { findIn, plainOf, type Tree } from './tree.ts'

/** What each driver cannot do without; of a driver that is not here nothing is known. */
const needs: Readonly<Record<string, 'command' | 'image'>> = { process: 'command', docker: 'image', swarm: 'image' }

/** The document as the rules see it: what does not fit the schema has been reported and is asked no more questions. */
interface Facts {
  has(pointer: string): boolean
  isBad(pointer: string): boolean
  /** NaN for what does not fit, so that no comparison with it holds. */
  number(pointer: string, fallback: number): number
  text(pointer: string): string | undefined
  items(pointer: string): Record<string, unknown>[]
}

/**
 * @param tree the rewritten document
 * @param misfits what the schema already found
 * @param drivers names of the drivers there are; undefined = do not ask
 */
export function checkRules(tree: Tree, misfits: readonly Finding[], drivers?: readonly string[]): Finding[] {
  const facts = factsOf(tree, misfits)
  // A misspelt `command` is one problem, not also a missing one.
  const isMisspelt = misfits.some(
    ({ pointer, isKey }) =>
      isKey && /^\/spec\/[^/]+$/.test(pointer) && nearest(pointer.slice('/spec/'.length), ['command', 'image']),
  )
  return [
    ...bounds(facts),
    ...scaling(facts),
    ...(isMisspelt ? [] : running(facts, drivers)),
    ...env(facts),
    ...ports(facts),
    ...ingress(facts),
    ...rest(facts),
    ...checkResources(facts, isProcess(facts)),
    ...checkContainer(facts, isProcess(facts)),
  ]
}

const isProcess = ({ has, text }: Facts) => (text('/spec/driver') ?? defaultDriver(has('/spec/image'))) === 'process'

function factsOf(tree: Tree, misfits: readonly Finding[]): Facts {
  const bad = new Set(misfits.map(({ pointer }) => pointer))
  const valueAt = (pointer: string) => {
    const found = findIn(tree, pointer)
    return found && plainOf(found.node)
  }
  const isBad = (pointer: string) => {
    for (let path = pointer; path !== ''; path = path.slice(0, path.lastIndexOf('/'))) if (bad.has(path)) return true
    return bad.has('')
  }
  return {
    has: (pointer) => findIn(tree, pointer) !== undefined,
    isBad,
    number: (pointer, fallback) => {
      const value = valueAt(pointer) ?? fallback
      return isBad(pointer) || typeof value !== 'number' ? Number.NaN : value
    },
    text: (pointer) => {
      const value = valueAt(pointer)
      return isBad(pointer) || typeof value !== 'string' ? undefined : value
    },
    items: (pointer) => {
      const value = valueAt(pointer)
      return Array.isArray(value) ? value.map((item) => (item !== null && typeof item === 'object' ? item : {})) : []
    },
  }
}

function bounds({ has, number }: Facts): Finding[] {
  const min = number('/scaling/minReplicas', defaults.scaling.minReplicas)
  const max = number('/scaling/maxReplicas', defaultMaxReplicas(min))
  const findings: Finding[] = []
  if (min > max) {
    const isMinGiven = has('/scaling/minReplicas')
    findings.push({
      pointer: isMinGiven ? '/scaling/minReplicas' : '/scaling/maxReplicas',
      message: `minReplicas (${min}${isMinGiven ? '' : ', the default'}) must not be above maxReplicas (${max})`,
    })
  }
  for (const pointer of ['/scaling/replicas', '/scaling/fallback/replicas']) {
    const replicas = number(pointer, Number.NaN)
    if (min <= max && (replicas < min || replicas > max))
      findings.push({ pointer, message: `expected replicas within the bounds ${min} to ${max}, found ${replicas}` })
  }
  return findings
}

function scaling({ has, number, text }: Facts): Finding[] {
  const findings: Finding[] = []
  const out = number('/scaling/scaleOutThresholdPct', defaults.scaling.scaleOutThresholdPct)
  const inside = number('/scaling/scaleInThresholdPct', defaults.scaling.scaleInThresholdPct)
  if (inside >= out)
    findings.push({
      pointer: has('/scaling/scaleInThresholdPct') ? '/scaling/scaleInThresholdPct' : '/scaling/scaleOutThresholdPct',
      message: `scaleInThresholdPct (${inside}) must be below scaleOutThresholdPct (${out})`,
    })
  const isManual = text('/scaling/mode') === 'manual'
  if (number('/scaling/minReplicas', 1) === 0 && !isManual && !has('/scaling/scalers'))
    findings.push({
      pointer: '/scaling/minReplicas',
      message:
        'minReplicas 0 needs `mode: manual`, or `scalers` that can wake the app: without replicas there is nothing to measure, so the default scalers would leave it at 0',
    })
  return findings
}

function running(facts: Facts, drivers?: readonly string[]): Finding[] {
  const { has, isBad, text } = facts
  if (isBad('/spec') || !has('/spec')) return []
  const hasImage = has('/spec/image')
  const hasCommand = has('/spec/command') || (hasImage && has('/spec/args'))
  const driver = has('/spec/driver') ? text('/spec/driver') : defaultDriver(hasImage)
  if (driver === undefined) return []
  if (!has('/spec/driver') && !hasImage && !hasCommand)
    return [
      {
        pointer: '/spec',
        message: '`command` (to run a process on this machine) or `image` (to run a container) is missing',
      },
    ]
  return [...driverIs(driver, hasImage, facts, drivers), ...driverHas(driver, facts)]
}

function driverIs(driver: string, hasImage: boolean, { has }: Facts, drivers?: readonly string[]): Finding[] {
  if (!drivers || drivers.includes(driver)) return []
  const there = choice(drivers)
  if (has('/spec/driver')) {
    const meant = nearest(driver, drivers)
    const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
    return [
      {
        pointer: '/spec/driver',
        message: `expected a driver that is there (${there}), found ${render(driver)}${hint}`,
      },
    ]
  }
  const why = hasImage ? 'an image is run by' : 'a command is run by'
  return [
    {
      pointer: hasImage ? '/spec/image' : '/spec',
      message: `${why} the driver \`${driver}\`, which is not there; there is ${there}`,
    },
  ]
}

function driverHas(driver: string, { has, items, isBad }: Facts): Finding[] {
  const need = needs[driver]
  const findings: Finding[] = []
  const isEmpty = need === 'command' && has('/spec/command') && items('/spec/command').length === 0
  if (need && !isBad(`/spec/${need}`) && (!has(`/spec/${need}`) || isEmpty))
    findings.push({ pointer: `/spec/${need}`, message: `\`${need}\` is missing; the driver \`${driver}\` needs it` })
  if (need === 'command' && has('/spec/image'))
    findings.push({
      pointer: '/spec/image',
      message: `the driver \`${driver}\` runs a command and takes no image`,
      isKey: true,
    })
  if (need === 'image' && items('/spec/ports').length === 0 && !isBad('/spec/ports'))
    findings.push({
      pointer: '/spec/ports',
      message: '`ports` is missing; expected the port that the image listens on, such as [{ containerPort: 8080 }]',
    })
  return findings
}

function env(facts: Facts): Finding[] {
  const { items, isBad, text } = facts
  const isPortGiven = isProcess(facts)
  const findings: Finding[] = []
  const first = new Map<string, number>()
  for (const [index, entry] of items('/spec/env').entries()) {
    const pointer = `/spec/env/${index}`
    const sources = ['value', 'secret', 'field'].filter((key) => entry[key] !== undefined)
    if (sources.length !== 1 && !isBad(pointer))
      findings.push({
        pointer,
        message: `expected one of \`value\`, \`secret\` and \`field\`, found ${sources.map((key) => `\`${key}\``).join(' and ') || 'none'}`,
      })
    const name = text(`${pointer}/name`)
    if (name === undefined) continue
    const before = first.get(name)
    if (before !== undefined)
      findings.push({ pointer: `${pointer}/name`, message: `\`${name}\` is given twice; first as /spec/env/${before}` })
    else first.set(name, index)
    if (isPortGiven && name === 'PORT')
      findings.push({
        pointer: `${pointer}/name`,
        message: '`PORT` is chosen by Orchestry for every replica; leave it out',
      })
  }
  return findings
}

function ports({ items }: Facts): Finding[] {
  const findings: Finding[] = []
  for (const key of ['containerPort', 'name']) {
    const first = new Map<unknown, number>()
    for (const [index, port] of items('/spec/ports').entries()) {
      const before = first.get(port[key])
      if (before !== undefined && port[key] !== undefined)
        findings.push({
          pointer: `/spec/ports/${index}/${key}`,
          message: `${render(port[key])} is given twice; first as /spec/ports/${before}`,
        })
      else first.set(port[key], index)
    }
  }
  return findings
}

/** Load balancers differ in whether they match a path as it was sent or decoded: one spelling of each keeps two apps apart on all. */
function ingress({ text }: Facts): Finding[] {
  const pointer = '/ingress/path'
  const path = text(pointer) ?? ''
  const escapes = path.match(/%.{0,2}/g) ?? []
  const wrong = escapes.find((found) => !/^%[89A-F][0-9A-F]$/.test(found))
  if (wrong === undefined) return []
  const message = `expected a path in which only what is not ASCII is written as \`%XX\`, in capitals, found \`${wrong}\` in ${render(path)}`
  return [{ pointer, message }]
}

function rest({ has, number, text }: Facts): Finding[] {
  const findings: Finding[] = []
  const isNone = (pointer: string, fallback: number) => text(pointer) === '0%' || number(pointer, fallback) === 0
  const { maxSurge, maxUnavailable } = defaults.rollout
  if (isNone('/rollout/maxSurge', maxSurge) && isNone('/rollout/maxUnavailable', maxUnavailable))
    findings.push({
      pointer: has('/rollout/maxSurge') ? '/rollout/maxSurge' : '/rollout',
      message:
        'maxSurge and maxUnavailable are both 0, so no replica could ever be replaced; make one of them at least 1',
    })
  return findings
}
