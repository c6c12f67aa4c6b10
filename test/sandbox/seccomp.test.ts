/** The program that judges system calls, run on a machine of our own; what the kernel makes of it is seen in os-03. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { answers, type Instruction, seccompInstructions, seccompProgram } from '../../runtime/sandbox/seccomp.ts'
import { type Architecture, allowedSyscalls, judgedSyscalls, refusedSyscalls } from '../../runtime/sandbox/syscalls.ts'

const audit = { x64: 0xc000003e, arm64: 0xc00000b7, i386: 0x40000003 }
const thread = 0x3d0f00
const process_ = 0x1200011
const newUser = 0x10000000

/** The filter machine of the kernel, as far as the program uses it. */
function run(
  program: readonly Instruction[],
  call: { number: number; audit: number; args?: readonly number[] },
): number {
  const words = new Map([
    [0, call.number],
    [4, call.audit],
    ...(call.args ?? []).map((value, index): [number, number] => [16 + 8 * index, value]),
  ])
  let accumulator = 0
  for (let at = 0; ; at += 1) {
    const { code, value, onTrue, onFalse } = program[at] ?? assert.fail(`the program runs past its end at ${at}`)
    const jump = (holds: boolean) => {
      at += holds ? onTrue : onFalse
    }
    if (code === 0x20) accumulator = words.get(value) ?? 0
    else if (code === 0x15) jump(accumulator === value)
    else if (code === 0x35) jump(accumulator >= value)
    else if (code === 0x45) jump((accumulator & value) !== 0)
    else if (code === 0x06) return value
    else assert.fail(`unknown instruction ${code}`)
  }
}

for (const architecture of ['x64', 'arm64'] as const) {
  const program = seccompInstructions(architecture)
  const judge = (number: number, ...args: number[]) => run(program, { number, audit: audit[architecture], args })
  const named = (name: string, ...args: number[]) => {
    const number = judgedSyscalls(architecture).get(name)
    assert.ok(number !== undefined, name)
    return judge(number, ...args)
  }

  describe(`the list of system calls on ${architecture}`, () => {
    test('lets through what is listed, refuses by name what is dangerous, and knows nothing else', () => {
      for (const [name, number] of allowedSyscalls(architecture)) assert.equal(judge(number), answers.allow, name)
      for (const [name, number] of refusedSyscalls(architecture)) assert.equal(judge(number), answers.refuse, name)
      for (const number of [500, 999, 0x3fffffff]) assert.equal(judge(number), answers.unknown, String(number))
    })

    test('kills who speaks another dialect of the processor', () => {
      for (const foreign of Object.values(audit).filter((value) => value !== audit[architecture]))
        assert.equal(run(program, { number: 1, audit: foreign }), answers.kill)
      if (architecture === 'x64') assert.equal(judge(0x40000000 + 1), answers.kill)
    })

    const cases: [string, number, number][] = [
      ['a thread', named('clone', thread), answers.allow],
      ['a process', named('clone', process_), answers.refuse],
      ['a thread in a new user namespace', named('clone', thread | newUser), answers.refuse],
      ['clone3, whose flags cannot be seen', named('clone3'), answers.unknown],
      ['its own limits', named('prlimit64', 0), answers.allow],
      ["another's limits", named('prlimit64', 1), answers.refuse],
      ['a question to a terminal', named('ioctl', 0, 0x5401), answers.allow],
      ['typing into a terminal', named('ioctl', 0, 0x5412), answers.refuse],
      ['pasting into a terminal', named('ioctl', 0, 0x541c), answers.refuse],
    ]
    for (const [what, given, wanted] of cases)
      test(`decides by the arguments: ${what}`, () => assert.equal(given, wanted))

    test('is short enough for the kernel, and every number stands in one list only', () => {
      assert.ok(program.length <= 4096)
      assert.equal(seccompProgram(architecture)?.length, program.length * 8)
      const all = [allowedSyscalls, refusedSyscalls, judgedSyscalls].flatMap((list) => [...list(architecture).values()])
      assert.equal(new Set(all).size, all.length)
    })
  })
}

test('there is no program for a processor whose numbers are not known', () => {
  assert.equal(seccompProgram('riscv64'), undefined)
})

/** Where the headers of the kernel lie, they say the same. */
const header = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h'
test('the numbers are those of the kernel', (t) => {
  if (!existsSync(header)) return t.skip(`${header} is not there: apt install linux-libc-dev`)
  const numbers = new Map(
    [...readFileSync(header, 'latin1').matchAll(/^#define __NR_(\w+)\s+(\d+)$/gm)].map(([, name, number]) => [
      name,
      Number(number),
    ]),
  )
  const architecture: Architecture = 'x64'
  for (const list of [allowedSyscalls, refusedSyscalls, judgedSyscalls])
    for (const [name, number] of list(architecture)) assert.equal(number, numbers.get(name) ?? number, name)
})
