/**
 * The kernel's own gate before every system call of a sandbox process: a program for its packet filter machine ("classic
 * BPF"), which decides by the number of the call and its plain arguments. It cannot be taken off again.
 */
import { type Architecture, allowedSyscalls, judgedSyscalls, refusedSyscalls } from './syscalls.ts'

/** `jump` skips so many instructions when the comparison holds and when it does not. */
export interface Instruction {
  readonly code: number
  readonly onTrue: number
  readonly onFalse: number
  readonly value: number
}

const op = { load: 0x20, equal: 0x15, atLeast: 0x35, anyBit: 0x45, answer: 0x06 } as const
/** Where the kernel puts what the program judges. Of an argument, the low half is what these calls take. */
const at = { number: 0, architecture: 4, argument: (index: number) => 16 + 8 * index }

const errno = { EPERM: 1, ENOSYS: 38 }
export const answers = {
  kill: 0x80000000,
  allow: 0x7fff0000,
  refuse: 0x00050000 | errno.EPERM,
  unknown: 0x00050000 | errno.ENOSYS,
} as const

const audit: Record<Architecture, number> = { x64: 0xc000003e, arm64: 0xc00000b7 }
/** Numbers from here on are the x32 dialect: another table of calls under the same architecture. */
const x32Bit = 0x40000000
const cloneThread = 0x00010000
const cloneNamespaces = 0x7e020000
/** Typing into a terminal, and its selection. */
const terminalInjection = [0x5412, 0x541c]

const load = (offset: number): Instruction => ({ code: op.load, onTrue: 0, onFalse: 0, value: offset })
const answer = (value: number): Instruction => ({ code: op.answer, onTrue: 0, onFalse: 0, value })
const jump = (code: number, value: number, onTrue: number, onFalse: number): Instruction => ({
  code,
  onTrue,
  onFalse,
  value,
})

/** What becomes of those calls whose arguments matter; each ends in an answer. */
const judgements: Readonly<Record<string, readonly Instruction[]>> = {
  // A thread of its own, never a process. libc asks with clone3 first, whose flags cannot be seen from here.
  clone: [
    load(at.argument(0)),
    jump(op.anyBit, cloneNamespaces, 2, 0),
    jump(op.anyBit, cloneThread, 0, 1),
    answer(answers.allow),
    answer(answers.refuse),
  ],
  clone3: [answer(answers.unknown)],
  // Its own limits only.
  prlimit64: [load(at.argument(0)), jump(op.equal, 0, 0, 1), answer(answers.allow), answer(answers.refuse)],
  ioctl: [
    load(at.argument(1)),
    ...terminalInjection.flatMap((command) => [jump(op.equal, command, 0, 1), answer(answers.refuse)]),
    answer(answers.allow),
  ],
}

export function seccompInstructions(architecture: Architecture): readonly Instruction[] {
  const ifCall = (number: number, then: readonly Instruction[]) => [jump(op.equal, number, 0, then.length), ...then]
  const always = (calls: ReadonlyMap<string, number>, value: number) =>
    [...calls.values()].flatMap((number) => ifCall(number, [answer(value)]))
  return [
    load(at.architecture),
    jump(op.equal, audit[architecture], 1, 0),
    answer(answers.kill),
    load(at.number),
    ...(architecture === 'x64' ? [jump(op.atLeast, x32Bit, 0, 1), answer(answers.kill)] : []),
    ...always(allowedSyscalls(architecture), answers.allow),
    ...[...judgedSyscalls(architecture)].flatMap(([name, number]) => ifCall(number, judgements[name] ?? [])),
    ...always(refusedSyscalls(architecture), answers.refuse),
    answer(answers.unknown),
  ]
}

/** As the kernel reads it: eight bytes for each instruction. Both architectures are little-endian. */
export function assemble(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * 8)
  instructions.forEach(({ code, onTrue, onFalse, value }, index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(onTrue, index * 8 + 2)
    bytes.writeUInt8(onFalse, index * 8 + 3)
    bytes.writeUInt32LE(value, index * 8 + 4)
  })
  return bytes
}

/** Undefined where the numbers of the calls are not known. */
export function seccompProgram(architecture: string): Buffer | undefined {
  return architecture === 'x64' || architecture === 'arm64' ? assemble(seccompInstructions(architecture)) : undefined
}
