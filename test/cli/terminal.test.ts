import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createTerminal, styled } from '../../runtime/cli/terminal.ts'
import { waitFor } from '../support/wait-for.ts'

function watched(env: NodeJS.ProcessEnv = {}, isTTY = true) {
  const make = () => Object.assign(new PassThrough(), { isTTY })
  const [stdin, stdout, stderr] = [make(), make(), make()]
  const terminal = createTerminal({ stdin, stdout, stderr, env })
  const read = (stream: PassThrough) => String(stream.read() ?? '')
  return { terminal, stdin, out: () => read(stdout), err: () => read(stderr) }
}

const cases: [string, NodeJS.ProcessEnv, boolean, string][] = [
  ['a terminal', {}, true, '\u001b[31mbad\u001b[39m news\n'],
  ['a terminal with NO_COLOR', { NO_COLOR: '1' }, true, 'bad news\n'],
  ['a dumb terminal', { TERM: 'dumb' }, true, 'bad news\n'],
  ['a pipe', {}, false, 'bad news\n'],
]
for (const [title, env, isTTY, expected] of cases)
  test(`colour for ${title}`, () => {
    const { terminal, out } = watched(env, isTTY)
    terminal.say(styled('red', 'bad'), ' news')
    assert.equal(out(), expected)
  })

test('C60: a coloured text cannot end its colour or begin another', () => {
  const { terminal, out } = watched()
  terminal.say(styled('red', 'a\u001b[0m\u001b]0;title\u0007b'))
  assert.equal(out(), '\u001b[31ma\\u001b[0m\\u001b]0;title\\u0007b\u001b[39m\n')
})

test('a table has no frame, keeps its columns and ends no line with spaces', async () => {
  const { terminal, out } = watched({}, false)
  await terminal.table(
    ['NAME', 'N', ''],
    [
      ['shop', '1', 'x'],
      ['a\nb', '20', ''],
    ],
  )
  assert.equal(out(), 'NAME      N\nshop      1   x\na\\u000ab  20\n')
})

test('what takes longer than a second is said, and taken back when it is over', async () => {
  const { terminal, err } = watched()
  const { promise, resolve } = Promise.withResolvers<number>()
  const result = terminal.during('waiting for shop', promise)
  assert.equal(err(), '')
  let shown = ''
  await waitFor(() => {
    shown += err()
    return shown === 'waiting for shop…'
  })
  resolve(7)
  assert.equal(await result, 7)
  assert.equal(err(), '\r\u001b[K')
})

test('what is quick is not said, and nothing is said where nobody watches', async () => {
  const quick = watched()
  await quick.terminal.during('waiting', Promise.resolve())
  assert.equal(quick.err(), '')
  const piped = watched({}, false)
  await piped.terminal.during('waiting', sleep(1_050))
  assert.equal(piped.err(), '')
})

for (const [given, expected] of [
  ['y\n', true],
  ['YES\n', true],
  ['n\n', false],
  ['\n', false],
] as const)
  test(`${JSON.stringify(given)} to a question is ${expected ? 'yes' : 'no'}`, async () => {
    const { terminal, stdin } = watched()
    const answer = terminal.confirm('Delete it?')
    stdin.write(given)
    assert.equal(await answer, expected)
  })

test('where there is no terminal nobody is asked', async () => {
  assert.equal(await watched({}, false).terminal.confirm('Delete it?'), undefined)
})
