/** What the operator was told is done stays done, over restarts too, until somebody says otherwise. */
import type { Checker } from '../checker.ts'
import type { Word } from '../observer.ts'

export const word: Checker = ({ controller, breach }) => {
  const kept = new Map<string, Partial<Record<Word['say'], Word>>>()
  /** What was asked for at the same time may have happened in any order. */
  const underWay = new Map<string, number>()
  const muddled = new Set<string>()
  const answered = (app: string) => {
    const left = Math.max(0, (underWay.get(app) ?? 0) - 1)
    underWay.set(app, left)
    if (left === 0) muddled.delete(app)
  }
  const look = () => {
    for (const [app, said] of kept) {
      if (muddled.has(app)) continue
      const record = controller().apps.get(app)
      const { run, scale, remove } = said
      if (remove && record) breach(`${app} is there again after it was deleted`)
      if (!remove && !record && said.apply) breach(`${app} is gone, and nobody has deleted it`)
      if (run?.say === 'run' && record && record.isRunning !== run.isRunning)
        breach(`${app} ${record.isRunning ? 'runs' : 'is stopped'}, which was not said`)
      if (scale?.say === 'scale' && record?.app.scaling.mode === 'manual' && record.desired !== scale.replicas)
        breach(`${app} was scaled to ${scale.replicas} by hand and is to have ${record.desired}`)
    }
  }
  return {
    /** From now on it may be either way until the answer comes. */
    asked(app, { say }) {
      const others = underWay.get(app) ?? 0
      underWay.set(app, others + 1)
      if (others > 0) muddled.add(app)
      const said = kept.get(app) ?? {}
      kept.set(app, said)
      if (say === 'apply') delete said.scale
      if (say === 'apply' || say === 'remove') delete said.remove
      if (say === 'remove') for (const key of ['run', 'scale', 'apply'] as const) delete said[key]
      else delete said[say]
    },
    acknowledged(app, what) {
      const said = kept.get(app) ?? {}
      if (muddled.has(app)) kept.delete(app)
      else kept.set(app, { ...said, [what.say]: what })
      answered(app)
    },
    refused: answered,
    born() {
      for (const app of muddled) kept.delete(app)
      underWay.clear()
      muddled.clear()
    },
    looked: look,
    began: look,
  }
}
