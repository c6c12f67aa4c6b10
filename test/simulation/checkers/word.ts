/** What the operator was told is done stays done, over restarts too, until somebody says otherwise. */
import type { Checker } from '../checker.ts'
import type { Word } from '../observer.ts'

export const word: Checker = ({ controller, breach }) => {
  const kept = new Map<string, Partial<Record<Word['say'], Word>>>()
  const look = () => {
    for (const [app, said] of kept) {
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
      const said = kept.get(app) ?? {}
      kept.set(app, said)
      if (say === 'apply') delete said.scale
      if (say === 'apply' || say === 'remove') delete said.remove
      if (say === 'remove') for (const key of ['run', 'scale', 'apply'] as const) delete said[key]
      else delete said[say]
    },
    acknowledged(app, what) {
      const said = kept.get(app) ?? {}
      kept.set(app, said)
      said[what.say] = what
    },
    looked: look,
    began: look,
  }
}
