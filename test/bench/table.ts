/** How the rows look: what | target | measured | runs | held? A figure that falls short is printed as such. Pure. */
import Table from 'cli-table3'
import type { Figure, Row } from './bench.ts'

const noTarget = '–'

export function isHeld({ value, atMost, atLeast }: Figure): boolean {
  // NaN holds nothing.
  return (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast)
}

const hasTarget = ({ atMost, atLeast }: Figure) => atMost !== undefined || atLeast !== undefined

/** Three digits that count; whole from 1,000 on. */
export function renderNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value).replace('Infinity', '∞')
  const digits = Math.abs(value) >= 1000 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)))
  return value.toLocaleString('en-US', { maximumFractionDigits: Math.min(digits, 3) })
}

const withUnit = (value: number, unit: string) =>
  `${renderNumber(value)}${unit === '' || unit.startsWith('/') ? '' : ' '}${unit}`
const named = ({ name }: Figure, text: string) => (name === undefined ? text : `${name} ${text}`)

function renderTarget(figure: Figure): string[] {
  const { atMost, atLeast, unit } = figure
  return [
    ...(atMost === undefined ? [] : [named(figure, `≤ ${withUnit(atMost, unit)}`)]),
    ...(atLeast === undefined ? [] : [named(figure, `≥ ${withUnit(atLeast, unit)}`)]),
  ]
}

/** The verdict over all figures of a row; a row that names several says which of them fall short. */
export function verdict(row: Row): string {
  if ('missing' in row) return row.isFault ? 'COULD NOT RUN' : 'not measured'
  const targeted = row.figures.filter(hasTarget)
  if (targeted.length === 0) return noTarget
  const short = targeted.filter((figure) => !isHeld(figure))
  if (short.length === 0) return 'held'
  const names = short.flatMap(({ name }) => name ?? [])
  return names.length === 0 ? 'SHORT' : `SHORT: ${names.join(', ')}`
}

function cells(row: Row): string[] {
  if ('missing' in row) return [row.what, noTarget, row.missing, noTarget, verdict(row)]
  const what = row.note === undefined ? row.what : `${row.what}\n(${row.note})`
  const targets = row.figures.flatMap(renderTarget)
  const measured = row.figures.map((figure) => named(figure, withUnit(figure.value, figure.unit)))
  return [what, targets.join('\n') || noTarget, measured.join('\n'), String(row.runs), verdict(row)]
}

export function renderTable(rows: readonly Row[]): string {
  const table = new Table({
    head: ['what', 'target', 'measured', 'runs', 'held?'],
    style: { head: [], border: [], compact: false },
    colWidths: [46, 26, 30, 8, 20],
    wordWrap: true,
  })
  table.push(...rows.map(cells))
  return table.toString()
}

/** One line over all rows. */
export function renderSummary(rows: readonly Row[]): string {
  const verdicts = rows.map(verdict)
  const count = (isIt: (text: string) => boolean) => verdicts.filter(isIt).length
  return [
    `${count((text) => text === 'held')} held`,
    `${count((text) => text.startsWith('SHORT'))} fall short`,
    `${count((text) => text === noTarget)} without a target`,
    `${count((text) => text === 'not measured')} not measured`,
    `${count((text) => text === 'COULD NOT RUN')} could not run`,
  ].join(', ')
}
