import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuMilli, memoryBytes, parseQuantity } from '../../runtime/apps/quantity.ts'

const amounts: [string | number, number][] = [
  ['0', 0],
  ['1', 1],
  ['0.5', 0.5],
  ['.5', 0.5],
  ['5.', 5],
  ['500m', 0.5],
  ['1500m', 1.5],
  ['100k', 100_000],
  ['512M', 512_000_000],
  ['512Mi', 536_870_912],
  ['1.5Gi', 1_610_612_736],
  ['1Ki', 1024],
  ['2Ti', 2 * 2 ** 40],
  ['1Pi', 2 ** 50],
  ['1Ei', 2 ** 60],
  ['3G', 3e9],
  ['1T', 1e12],
  ['1P', 1e15],
  ['1E', 1e18],
  ['1e3', 1000],
  ['1E3', 1000],
  ['1e+3', 1000],
  ['12e-1', 1.2],
  ['+2', 2],
  ['-1', -1],
  ['-1.5Ki', -1536],
  [2, 2],
  [0.25, 0.25],
]
for (const [text, amount] of amounts)
  test(`the quantity ${JSON.stringify(text)} is ${amount}`, () => assert.equal(parseQuantity(text), amount))

const noQuantities = [
  '',
  ' ',
  '1 ',
  ' 1',
  'm',
  'Mi',
  '.',
  '1.2.3',
  '1,5',
  '512MB',
  '512mb',
  '512mi',
  '1K',
  '1g',
  '1e',
  '1e3m',
  '1e9999',
  '0x10',
  '1_000',
  '--1',
  'NaN',
  'Infinity',
  '1\n',
  '٣',
  Number.NaN,
  Number.POSITIVE_INFINITY,
]
for (const text of noQuantities)
  test(`${JSON.stringify(text)} is no quantity`, () => assert.equal(parseQuantity(text), undefined))

const cpus: [string | number, number | undefined][] = [
  ['500m', 500],
  ['0.5', 500],
  [0.5, 500],
  ['2', 2000],
  ['0.29', 290],
  ['1.001', 1001],
  ['0.1m', 1],
  ['1.5m', 2],
  ['1x', undefined],
]
for (const [text, milli] of cpus)
  test(`${JSON.stringify(text)} of CPU are ${milli} thousandths of a core`, () => assert.equal(cpuMilli(text), milli))

const memories: [string | number, number | undefined][] = [
  ['512Mi', 536_870_912],
  ['512M', 512_000_000],
  ['1.5Gi', 1_610_612_736],
  ['0.1Ki', 103],
  [1024, 1024],
  ['1e9', 1_000_000_000],
  ['lots', undefined],
]
for (const [text, bytes] of memories)
  test(`${JSON.stringify(text)} of memory are ${bytes} bytes`, () => assert.equal(memoryBytes(text), bytes))
