/** node:test undoes in the order of doing; what stands on something else must go first. */
type Cleanup = { after(run: () => Promise<void>): void }

/** Hand this to whatever is started, in the order of starting: it ends in the opposite one, also when one end fails. */
export function newestFirst(test: Cleanup): Cleanup {
  const undos: (() => Promise<void>)[] = []
  test.after(async () => {
    const failures: unknown[] = []
    for (const undo of undos.splice(0).reverse()) await undo().catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw new AggregateError(failures, 'what a test started did not end cleanly')
  })
  return { after: (run) => void undos.push(run) }
}
