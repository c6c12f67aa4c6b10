/** What one plugin instance has used: in all, by hook, and by hook and app. Outlives the processes that run it. */
import { limits } from '../limits.ts'
import type { GuestAnswer, HookUsage, InstanceUsage, UsageRow } from './sandbox.ts'

/** What one call took, whatever became of it. */
export interface Spent {
  readonly hook: string
  /** Of each item, in their order; of one item also all that it is about. */
  readonly apps: readonly string[] | undefined
  readonly cpuMs: number
  readonly wallMs: number
  readonly hostCalls: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface Usage {
  charge(spent: Spent, answers: readonly GuestAnswer[]): void
  /** Something was refused, or thrown away; a call that was never made is an error too. */
  drop(of: { hook: string; apps?: readonly string[] | undefined }, count: number, isError: boolean): void
  /** As measured last; 0 while there is no isolate. */
  setHeapMb(heapMb: number): void
  readonly heapMb: number
  total(): InstanceUsage
  byHook(): HookUsage[]
  rows(): UsageRow[]
}

type Sum = { -readonly [K in keyof Omit<InstanceUsage, 'heapMb'>]: number }
interface Row {
  readonly sum: Sum
  /** Tells the items of one call from those of the next. */
  lastCall: number
}
interface HookSums {
  readonly sum: Sum
  readonly apps: Map<string, Row>
}

const emptySum = (): Sum => ({
  calls: 0,
  errors: 0,
  cpuMs: 0,
  wallMs: 0,
  peakHeapMb: 0,
  hostCalls: 0,
  bytesIn: 0,
  bytesOut: 0,
  drops: 0,
})
const noApp: readonly string[] = ['']

export function createUsage(): Usage {
  const total = emptySum()
  const hooks = new Map<string, HookSums>()
  let heapMb = 0
  let rowsCount = 0
  let callsCount = 0

  function sumsOf(hook: string): HookSums {
    let sums = hooks.get(hook)
    if (sums === undefined) {
      sums = { sum: emptySum(), apps: new Map() }
      hooks.set(hook, sums)
    }
    return sums
  }

  /** Apps come and go: what finds no place any more is summed up under none. */
  function rowOf({ apps }: HookSums, app: string): Row {
    const known = apps.get(app)
    if (known !== undefined) return known
    if (app !== '' && rowsCount >= limits.usageRows) return rowOf({ apps } as HookSums, '')
    const row = { sum: emptySum(), lastCall: 0 }
    apps.set(app, row)
    rowsCount += 1
    return row
  }

  function add(sum: Sum, spent: Spent, share: number): void {
    sum.cpuMs += spent.cpuMs * share
    sum.wallMs += spent.wallMs * share
    sum.hostCalls += spent.hostCalls * share
    sum.bytesIn += spent.bytesIn * share
    sum.bytesOut += spent.bytesOut * share
    if (heapMb > sum.peakHeapMb) sum.peakHeapMb = heapMb
  }

  return {
    charge(spent, answers) {
      callsCount += 1
      const sums = sumsOf(spent.hook)
      const errors = answers.some(({ ok }) => !ok) ? 1 : 0
      for (const sum of [total, sums.sum]) {
        sum.calls += 1
        sum.errors += errors
        add(sum, spent, 1)
      }
      const apps = spent.apps === undefined || spent.apps.length === 0 ? noApp : spent.apps
      const share = 1 / apps.length
      const isEach = answers.length === apps.length
      for (let index = 0; index < apps.length; index += 1) {
        const row = rowOf(sums, apps[index] as string)
        const isFirst = row.lastCall !== callsCount
        row.lastCall = callsCount
        if (isFirst) row.sum.calls += 1
        // One answer for all of them is a fault to each.
        if (isEach ? answers[index]?.ok === false : errors > 0 && isFirst) row.sum.errors += 1
        add(row.sum, spent, share)
      }
    },
    drop({ hook, apps }, count, isError) {
      const sums = sumsOf(hook)
      const errors = isError ? 1 : 0
      const { sum: row } = rowOf(sums, onlyOf(apps) ?? '')
      for (const sum of [total, sums.sum, row]) {
        sum.drops += count
        sum.errors += errors
      }
    },
    setHeapMb(measuredMb) {
      heapMb = measuredMb
      total.peakHeapMb = Math.max(total.peakHeapMb, heapMb)
    },
    get heapMb() {
      return heapMb
    },
    total: () => ({ ...total, heapMb }),
    byHook: () => [...hooks].map(([hook, { sum }]) => ({ hook, ...sum })),
    rows: () => [...hooks].flatMap(([hook, { apps }]) => [...apps].map(([app, { sum }]) => ({ hook, app, ...sum }))),
  }
}

/** The one app that a call is about, if it is about one. */
export function onlyOf(apps: readonly string[] | undefined): string | undefined {
  const [first] = apps ?? []
  if (first === undefined || first === '') return undefined
  return apps?.every((app) => app === first) ? first : undefined
}
