/** How long one thing takes that is done again and again, after it has warmed up. */
import { Bench as Runner, type Statistics } from 'tinybench'

/** Milliseconds a run. Rejects when a run does. */
export async function timed(forMs: number, run: () => Promise<void>): Promise<Statistics> {
  const runner = new Runner({ time: forMs, warmupTime: 500, throws: true })
  runner.add('it', run)
  const [task] = await runner.run()
  if (task?.result.state !== 'completed') throw new Error('it was not measured')
  return task.result.latency
}
