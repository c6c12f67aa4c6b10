/** The demo's lines. Pure. */

export interface Moment {
  readonly second: number
  readonly phase: string
  readonly desired: number
  readonly serving: number
  /** Absent values: nothing was measured. */
  readonly rps: number | undefined
  readonly p95Ms: number | undefined
  readonly errorPercent: number | undefined
  /** What was decided since the last line, newest last. */
  readonly decisions: readonly { readonly from: number; readonly to: number; readonly reason: string }[]
  readonly votes: string
}

export const heading = ` time  load        rps  p95 ms  errors  replicas    votes\n${'─'.repeat(98)}\n`

const right = (text: string, width: number) => text.padStart(width)
const shown = (value: number | undefined, unit = '') => (value === undefined ? '–' : `${Math.round(value)}${unit}`)

export function renderMoment(moment: Moment): string {
  const { second, phase, desired, serving, rps, p95Ms, errorPercent, decisions, votes } = moment
  const bar = '■'.repeat(serving) + '□'.repeat(Math.max(0, desired - serving))
  const line = [
    right(`${second} s`, 5),
    ` ${phase.padEnd(8)}`,
    right(shown(rps), 5),
    right(shown(p95Ms), 7),
    right(shown(errorPercent, ' %'), 7),
    `  ${bar.padEnd(10)}`,
    ` ${votes}`,
  ].join(' ')
  const changes = decisions.map(({ from, to, reason }) => {
    const arrow = to > from ? '▲ out' : '▼ in'
    return `        ${arrow} ${from} → ${to}: ${reason}\n`
  })
  return `${line}\n${changes.join('')}`
}
