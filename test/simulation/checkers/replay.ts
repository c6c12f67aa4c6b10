/** Decisions replay: what was stored is decided again from the stored inputs, bit for bit, also with all fields in another order. */
import { type DecideInput, decide } from '../../../runtime/scaling/decide.ts'
import type { Checker } from '../checker.ts'

const keptAtMost = 50

export const replay: Checker = ({ breach }) => {
  /** By app: the newest inputs, as they would be stored, and what came of them. */
  const inputs = new Map<string, { text: string; decision: string }[]>()
  return {
    decided(input, { decision, state }) {
      const text = JSON.stringify(input)
      const again = decide(JSON.parse(text) as DecideInput)
      const same = JSON.stringify(again.decision) === JSON.stringify(decision)
      if (!same) breach(`${input.app} is decided otherwise from the same inputs: ${JSON.stringify(again.decision)}`)
      if (JSON.stringify(again.state) !== JSON.stringify(state))
        breach(`${input.app} comes to another state from the same inputs`)
      const list = inputs.get(input.app) ?? []
      inputs.set(input.app, list)
      list.push({ text, decision: JSON.stringify(decision) })
      if (list.length > keptAtMost) list.shift()
    },
    decisionStored({ id, ...decision }) {
      if (decision.by === 'operator') return
      const text = JSON.stringify(decision)
      if (!inputs.get(decision.app)?.some((one) => one.decision === text))
        breach(`${decision.app}: what is stored as ${id} was not decided`)
    },
  }
}
