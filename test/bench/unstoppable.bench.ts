/** A guest that nothing inside its process can stop: how long after its deadline it is gone, and who else notices. */
import type { Bundle, Sandbox } from '../../runtime/sandbox/sandbox.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import type { Bench } from './bench.ts'
import { answerOf, decideCall, type Guest, openGuest, scalerBody, startSandbox } from './guests.ts'
import { type Meanwhile, watching } from './meanwhile.ts'
import { median } from './samples.ts'

const deadlineMs = 300
/** Neither a timeout nor disposing of the isolate ends this built-in. */
const stuckBody = `scaler: { decide() { Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1) } }`

interface Overrun extends Meanwhile {
  readonly lateMs: number
}

export const bench: Bench = {
  async run(context) {
    const sandbox = await startSandbox(context)
    const neighbour = await openGuest(sandbox, await bundleGuest(scalerBody, 'neighbour'))
    await answerOf(neighbour.instance)
    const quiet = await watching(neighbour.instance, () => new Promise((resolve) => setTimeout(resolve, deadlineMs)))
    const bundle = await bundleGuest(stuckBody, 'stuck')
    const overruns: Overrun[] = []
    for (let run = 0; run < (context.isQuick ? 3 : 6); run += 1) {
      overruns.push(await overrun(sandbox, bundle, neighbour))
    }
    const most = (pick: (one: Overrun) => number) => Math.max(...overruns.map(pick))
    const runs = overruns.length
    return [
      {
        what: 'unstoppable guest → killed, counted from its deadline',
        figures: [
          { name: 'p50', value: median(overruns.map(({ lateMs }) => lateMs)), unit: 'ms' },
          { name: 'most', value: most(({ lateMs }) => lateMs), unit: 'ms', atMost: 100 },
        ],
        runs,
        note: `deadline ${deadlineMs} ms; killed = its process has ended`,
      },
      {
        what: 'meanwhile, while a guest is unstoppable',
        figures: [
          { name: 'host loop gap', value: most(({ loopGapMs }) => loopGapMs), unit: 'ms', atMost: 50 },
          { name: 'neighbour, slowest call', value: most((one) => one.slowestCallMs), unit: 'ms' },
        ],
        runs,
        note: `longest of all; its slowest call before that: ${quiet.meanwhile.slowestCallMs.toFixed(1)} ms`,
      },
    ]
  },
}

async function overrun(sandbox: Sandbox, bundle: Bundle, neighbour: Guest): Promise<Overrun> {
  const { plugin, instance } = await openGuest(sandbox, bundle, { timeoutMs: deadlineMs })
  const { result: lateMs, meanwhile } = await watching(neighbour.instance, async () => {
    const killed = new Promise<void>((resolve) => plugin.onState((state) => state === 'restarting' && resolve()))
    const startedMs = performance.now()
    const [answer] = await instance.call(['{}'], decideCall(deadlineMs))
    if (answer === undefined || answer.ok) throw new Error('the guest was expected to hang')
    await killed
    return performance.now() - startedMs - deadlineMs
  })
  await plugin.close()
  return { lateMs, ...meanwhile }
}
