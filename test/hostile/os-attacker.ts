/**
 * Somebody owns a sandbox process and runs what he likes in it, without Node and its permission model: here Perl, which can
 * ask the kernel for anything. He stands where our program would, at the end of the same confinement.
 */
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfinedChild, spawnConfined } from '../../runtime/sandbox/confined-child.ts'
import {
  type Confinement,
  type Launch,
  type ProcessProgram,
  withLimits,
  withNamespaces,
  withOwnUser,
} from '../../runtime/sandbox/confinement.ts'
import { describeConfinement } from '../../runtime/sandbox/description.ts'
import { type Machine, readMachine } from '../../runtime/sandbox/machine.ts'
import type { Tier } from '../../runtime/sandbox/sandbox.ts'
import { createUserIds } from '../../runtime/sandbox/user-ids.ts'
import { hasTool } from '../support/real-tool.ts'

export interface Place {
  readonly name: string
  readonly tier: Tier
  /** What an operator is told that this place lacks. */
  readonly lacks: string
  /** Of a file. */
  launch(script: string): Launch
}

type Ending = { after(run: () => Promise<void>): void }

export interface Attack {
  /** What was tried → `done`, or the name of the error of the kernel. */
  readonly told: ReadonlyMap<string, string>
  readonly child: ConfinedChild
  readonly ended: Promise<string>
}

const perl = '/usr/bin/perl'
const prelude = `$| = 1; sub told { my ($what, $isDone) = @_; my $errno = $! + 0; print "$what ", ($isDone ? 'done' : $errno), "\\n" }
sub open_read { my ($name, $path) = @_; my ($h, $x); my $isDone = open($h, '<', $path) && defined(sysread($h, $x, 1)); told($name, $isDone) }
`

/** Undefined with what is missing where nobody can be confined here; every place that this machine has otherwise. */
export async function findPlaces(): Promise<readonly Place[] | string> {
  if (process.platform !== 'linux') return 'only Linux confines processes'
  for (const [command, name] of [
    ['bwrap', 'bubblewrap'],
    ['prlimit', 'util-linux'],
    ['setpriv', 'util-linux'],
    ['perl', 'perl-base'],
  ] as const)
    if (!hasTool(command, name)) return `${command} is missing: apt install ${name}`
  const nextUid = createUserIds()
  if (nextUid === undefined) return 'no user id is free here'
  // Node's place is taken by Perl; the file beside it is there to be bound and is of no use to it.
  const machine: Machine = { ...readMachine(), node: perl }
  const setpriv = machine.tool('setpriv') as string
  const libraries = await machine.libraries([perl, setpriv])
  const ordinary: Machine = { ...machine, isRoot: false }
  const asNobody = [setpriv, '--reuid=65534', '--regid=65534', '--clear-groups']
  const place = (name: string, tier: Tier, who: Machine, confine: (program: ProcessProgram) => Confinement): Place => ({
    name,
    tier,
    lacks: describeConfinement(tier, who, 'not here').lacks.join('\n'),
    launch(script) {
      const { file, args, late, ...more } = confine({ path: script, addon: perl }).launch(false)
      const before = machine.isRoot && who === ordinary ? asNobody : []
      // The last steps are Perl in Node's place, the flags of Node, which begin with this one, and the two files.
      const [first, ...rest] = [...before, file, ...args.slice(0, args.indexOf('--jitless')), args.at(-2) ?? '']
      const limiting = late === undefined ? {} : { late: (pid: number) => [...before, ...late(pid)] }
      return { ...more, ...limiting, file: first, args: rest }
    },
  })
  return [
    place('tier 3 of an ordinary user', 3, ordinary, (program) =>
      withNamespaces(ordinary, program, libraries, nextUid),
    ),
    ...(machine.isRoot
      ? [
          place('tier 3 of root', 3, machine, (program) => withNamespaces(machine, program, libraries, nextUid)),
          place('tier 2', 2, machine, (program) => withOwnUser(machine, program, nextUid)),
        ]
      : []),
    place('tier 1', 1, machine, (program) => withLimits(machine, program)),
  ]
}

/** Where every user can read it, as the program of a tier that changes the user is. */
export async function writeScript(t: Ending, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'orchestry-test-attack-'))
  t.after(() => rm(folder, { recursive: true }))
  await chmod(folder, 0o755)
  const path = join(folder, 'attack.pl')
  await writeFile(path, `${prelude}${text}`, { mode: 0o644 })
  return path
}

/** Where a number has two names, the shorter one. */
const errorNames = new Map(
  Object.entries(constants.errno)
    .sort(([one], [other]) => other.length - one.length)
    .map(([name, number]) => [number, name]),
)

/** Starts the attack; what it started is ended with the test. */
export function begin(t: Ending, launch: Launch): Attack {
  const child = spawnConfined(launch)
  const told = new Map<string, string>()
  let rest = ''
  child.output.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [what = '', result = ''] = line.split(' ')
      told.set(what, /^\d+$/.test(result) && what !== 'count' ? (errorNames.get(Number(result)) ?? result) : result)
    }
  })
  child.errors.on('data', (chunk: Buffer) => told.set('complaint', `${told.get('complaint') ?? ''}${chunk}`))
  const ended = new Promise<string>((resolve) => child.onExit(resolve))
  t.after(async () => {
    child.kill()
    await child.gone
    child.channel.destroy()
  })
  return { told, child, ended }
}

/** The whole attack, and what came of it. */
export async function attack(t: Ending, place: Place, script: string): Promise<Readonly<Record<string, string>>> {
  const { told, child, ended } = begin(t, place.launch(await writeScript(t, script)))
  const read = once(child.output, 'close')
  const how = await ended
  await read
  return { ...Object.fromEntries(told), ended: how }
}
