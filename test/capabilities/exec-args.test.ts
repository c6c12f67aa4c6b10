import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillTemplate, readTemplate } from '../../runtime/capabilities/exec-args.ts'

function fill(args: readonly string[], values: Record<string, string | number> = {}) {
  const problems: string[] = []
  const template = readTemplate(args, problems)
  assert.deepEqual(problems, [])
  return fillTemplate(template, values)
}

for (const [args, values, final] of [
  [[], {}, []],
  [['-s', 'reload', ''], {}, ['-s', 'reload', '']],
  [['-n', '{n:int}'], { n: 3 }, ['-n', '3']],
  [['-n', '{n:int}'], { n: '0' }, ['-n', '0']],
  [['--file={path:token}'], { path: 'conf/app.yaml' }, ['--file=conf/app.yaml']],
  [['{a:token}:{b:int}', '{a:token}'], { a: 'x', b: 1 }, ['x:1', 'x']],
  [['{mode:fast|slow}'], { mode: 'slow' }, ['slow']],
  [['a b', '$(id)', '*'], {}, ['a b', '$(id)', '*']],
] as const) {
  test(`${JSON.stringify(args)} with ${JSON.stringify(values)} becomes ${JSON.stringify(final)}`, () => {
    assert.deepEqual(fill(args, values), final)
  })
}

for (const [args, values, why] of [
  [['{x:token}'], {}, /"x" has no value/],
  [['{x:token}'], { x: 'a', y: 'b' }, /no hole "y"; the command has x/],
  [['a'], { y: 'b' }, /the command has none/],
  [['{n:int}'], { n: -1 }, /whole number/],
  [['{n:int}'], { n: 1.5 }, /whole number/],
  [['{n:int}'], { n: 1e21 }, /whole number/],
  [['{n:int}'], { n: '1;id' }, /whole number/],
  [['{n:int}'], { n: '01' }, /whole number/],
  [['{n:int}'], { n: '' }, /whole number/],
  [['{m:a|b}'], { m: 'c' }, /none of a, b/],
  [['{m:a|b}'], { m: 'a|b' }, /none of a, b/],
  [['{toString:token}'], {}, /no value/],
] as const) {
  test(`${JSON.stringify(args)} with ${JSON.stringify(values)} is refused`, () => {
    assert.throws(() => fill(args, values), { code: 'ORC_CAPABILITY_ARGUMENT', message: why })
  })
}

const hostile = [
  '-oProxyCommand=x',
  '--',
  '-',
  ';id',
  '$(id)',
  '`id`',
  'a\nb',
  'a b',
  "a'b",
  'a"b',
  'a|b',
  'a&b',
  'a\0b',
  '',
]
for (const value of [...hostile, '../x', 'a/../b', '\u00e9', '\u2010x', 'x'.repeat(129), '*', '~', '{x:int}', '%0a']) {
  test(`EXEC-01: a token is never ${JSON.stringify(value.slice(0, 24))}`, () => {
    assert.throws(() => fill(['{x:token}'], { x: value }), {
      code: 'ORC_CAPABILITY_ARGUMENT',
      message: /Nothing was run/,
    })
    assert.throws(() => fill(['--x={x:token}'], { x: value }), { code: 'ORC_CAPABILITY_ARGUMENT' })
  })
}

for (const [arg, why] of [
  ['{x}', /a brace/],
  ['{x:', /a brace/],
  ['a}b', /a brace/],
  ['{x:any}', /none of/],
  ['{x:}', /none of/],
  ['{x:a}', /none of/],
  ['{x:-a|b}', /none of/],
  ['{x:a|}', /none of/],
  ['{X:int}', /a brace/],
  ['{{x:int}}', /a brace/],
  ['{x:int}{x:token}', /two kinds/],
  ['a\0', /NUL/],
] as const) {
  test(`the argument ${JSON.stringify(arg)} cannot be granted`, () => {
    const problems: string[] = []
    readTemplate([arg], problems)
    assert.match(problems[0] ?? '', why)
  })
}
