/** What a tier holds on this machine and what it does not, in words for an operator. */
import type { Machine } from './machine.ts'
import type { SandboxDescription, Tier } from './sandbox.ts'

const isolations: Record<Tier, string> = {
  3: 'one process per plugin in namespaces of its own: no network, no files, no other processes, system calls by a list',
  2: 'one process per plugin under a user of its own, without rights, within limits of the kernel',
  1: 'one process per plugin within limits of the kernel',
  0: "one process per plugin behind Node's permission model alone",
}

interface Fact {
  /** The tiers where it holds. */
  readonly from: Tier
  readonly holds: string
  /** What is true where it does not. */
  readonly lacks: string
}

const facts: readonly Fact[] = [
  {
    from: 0,
    holds: "an empty environment, no descriptors but its channel, Node's permission model, no JIT unless granted",
    lacks: '',
  },
  {
    from: 1,
    holds: 'limits of the kernel on memory, open files and files written; no core dumps',
    lacks: 'limits of the kernel: memory and processor time are only watched',
  },
  {
    from: 3,
    holds: 'no network: a namespace with nothing in it, and no sockets',
    lacks: 'who took over the process itself could reach the network',
  },
  {
    from: 3,
    holds: 'no files but Node, its libraries and the sandbox program, all read-only',
    lacks: 'who took over the process itself could read what its user may read',
  },
  {
    from: 3,
    holds: 'sees, signals and starts no other process; ending it ends everything in its namespace',
    lacks: 'who took over the process itself could start others and see those of this machine',
  },
  {
    from: 3,
    holds: 'system calls by a list; what is not on it is refused',
    lacks: 'no list of system calls: every call of the kernel can be tried',
  },
]

export function describeConfinement(
  tier: Tier,
  machine: Pick<Machine, 'isRoot' | 'countsByNamespace'>,
  cgroupProblem: string | undefined,
): Pick<SandboxDescription, 'isolation' | 'holds' | 'lacks'> {
  const hasOwnUser = tier >= 2 && machine.isRoot
  const boundsProcesses = hasOwnUser || (tier === 3 && machine.countsByNamespace)
  const rows: readonly { isTrue: boolean; holds: string; lacks: string }[] = [
    ...facts.map(({ from, holds, lacks }) => ({ isTrue: tier >= from, holds, lacks })),
    {
      isTrue: hasOwnUser || tier === 3,
      holds: hasOwnUser
        ? 'a user id of its own for each process, without any rights'
        : 'no rights, in a user namespace of its own',
      lacks: 'it runs as the user of Orchestry',
    },
    {
      isTrue: boundsProcesses,
      holds: 'a bound on its threads and processes',
      lacks: 'no bound on threads and processes of its own',
    },
    {
      isTrue: cgroupProblem === undefined,
      holds: 'a control group of its own: memory, processes and its share of the processor',
      lacks: `no control group of its own: ${cgroupProblem}`,
    },
  ]
  return {
    isolation: isolations[tier],
    holds: rows.filter(({ isTrue }) => isTrue).map(({ holds }) => holds),
    lacks: rows.filter(({ isTrue }) => !isTrue).map(({ lacks }) => lacks),
  }
}
