/** What the table says of a figure, and that it never says it better than it is. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Figure, Row } from './bench.ts'
import { median, quantile } from './samples.ts'
import { isHeld, renderNumber, renderSummary, renderTable, verdict } from './table.ts'

const row = (...figures: Figure[]): Row => ({ what: 'a call', figures, runs: 7 })
const p50: Figure = { name: 'p50', value: 0.15, unit: 'ms', atMost: 0.2 }
const p99: Figure = { name: 'p99', value: 9, unit: 'ms', atMost: 3 }
const rate: Figure = { value: 54_621.4, unit: '/s', atLeast: 20_000 }

describe('a figure and its target', () => {
  const cases: [string, Figure, boolean][] = [
    ['below the most', { value: 1, unit: 'ms', atMost: 2 }, true],
    ['exactly the most', { value: 2, unit: 'ms', atMost: 2 }, true],
    ['above the most', { value: 2.0001, unit: 'ms', atMost: 2 }, false],
    ['above the least', { value: 3, unit: '/s', atLeast: 2 }, true],
    ['below the least', { value: 1.99, unit: '/s', atLeast: 2 }, false],
    ['between both', { value: 3, unit: '', atLeast: 2, atMost: 4 }, true],
    ['no number, at most', { value: Number.NaN, unit: '', atMost: 4 }, false],
    ['no number, at least', { value: Number.NaN, unit: '', atLeast: 4 }, false],
    ['what never came', { value: Number.POSITIVE_INFINITY, unit: 's', atMost: 4 }, false],
    ['no target', { value: 3, unit: '' }, true],
  ]
  for (const [title, figure, held] of cases) test(title, () => assert.equal(isHeld(figure), held))
})

describe('the verdict over a row', () => {
  const cases: [string, Row, string][] = [
    ['all held', row(p50, rate), 'held'],
    ['one short, named', row(p50, p99), 'SHORT: p99'],
    ['several short, all named', row({ ...p50, value: 1 }, p99), 'SHORT: p50, p99'],
    ['short without a name', row({ ...rate, value: 5 }), 'SHORT'],
    ['no target at all', row({ value: 1, unit: 'ms' }), '–'],
    ['one without a target does not spoil it', row(p50, { name: 'most', value: 99, unit: 'ms' }), 'held'],
    ['nothing was measured', { what: 'x', missing: 'needs Linux' }, 'not measured'],
    ['it should have been measured', { what: 'x', missing: 'it threw', isFault: true }, 'COULD NOT RUN'],
  ]
  for (const [title, given, expected] of cases) test(title, () => assert.equal(verdict(given), expected))
})

test('numbers keep three digits that count', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [0.0214, '0.021'],
    [0.1534, '0.153'],
    [1.239, '1.24'],
    [12.34, '12.3'],
    [123.6, '124'],
    [54_621.4, '54,621'],
    [-1.239, '-1.24'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, '∞'],
  ]
  assert.deepEqual(
    cases.map(([value]) => renderNumber(value)),
    cases.map(([, text]) => text),
  )
})

test('the table shows target, measured figure, runs and verdict side by side, and why something is missing', () => {
  const text = renderTable([
    { ...row(p50, p99), note: 'jitless' } as Row,
    row(rate),
    { what: 'memory', missing: 'needs Linux' },
  ])
  const lines = text.split('\n')
  const lineOf = (part: string) => lines.find((line) => line.includes(part)) ?? ''
  assert.match(lineOf('what'), /what.*target.*measured.*runs.*held\?/)
  assert.match(lineOf('a call'), /p50 ≤ 0\.2 ms.*p50 0\.15 ms.*7.*SHORT: p99/)
  assert.match(lineOf('jitless'), /\(jitless\).*p99 ≤ 3 ms.*p99 9 ms/)
  assert.match(lineOf('20,000'), /≥ 20,000\/s.*54,621\/s.*held/)
  assert.match(lineOf('memory'), /memory.*–.*needs Linux.*not measured/)
})

test('no line of the table is wider than the others, however long a text is', () => {
  const text = renderTable([{ what: 'w'.repeat(200), missing: 'm'.repeat(300), isFault: true }, row(p50)])
  assert.equal(new Set(text.split('\n').map((line) => line.length)).size, 1)
})

test('the summary counts every row once', () => {
  const rows: Row[] = [
    row(p50),
    row(p99),
    row({ value: 1, unit: 'ms' }),
    { what: 'x', missing: 'y' },
    { what: 'x', missing: 'y', isFault: true },
  ]
  assert.equal(renderSummary(rows), '1 held, 1 fall short, 1 without a target, 1 not measured, 1 could not run')
  assert.equal(renderSummary([]), '0 held, 0 fall short, 0 without a target, 0 not measured, 0 could not run')
})

describe('quantiles', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
  const cases: [string, readonly number[], number, number][] = [
    ['the median of an odd number', [3, 1, 2], 0.5, 2],
    ['the lower one of an even number', [4, 1, 3, 2], 0.5, 2],
    ['p99 of a hundred', hundred, 0.99, 99],
    ['p99 of few is the largest', [1, 2, 30], 0.99, 30],
    ['of one', [5], 0.01, 5],
    ['by size, not by text', [10, 9, 100], 1, 100],
  ]
  for (const [title, samples, share, expected] of cases)
    test(title, () => assert.equal(quantile(samples, share), expected))

  test('leave the samples as they are', () => {
    const samples = [3, 1, 2]
    assert.equal(median(samples), 2)
    assert.deepEqual(samples, [3, 1, 2])
  })
  test('of nothing are refused', () => assert.throws(() => quantile([], 0.5), RangeError))
})
