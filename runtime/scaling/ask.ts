/** Asks every scaler about all its apps at once, and makes a vote of whatever comes back. */
import type { AppView, Metrics, Vote } from '@orchestry/sdk'
import { codeOf, type ErrorCode, messageOf } from '../errors.ts'
import type { Answer, Hooks, Provider } from '../hooks/hooks.ts'
import type { VoteRecord } from './decision.ts'

export interface Question {
  readonly app: AppView
  readonly metrics: Metrics
  /** Names of scaler instances; absent = the default ones. */
  readonly scalers?: readonly string[]
}

type Item = { app: AppView; metrics: Record<string, NonNullable<Metrics[string]>> }
interface Batch {
  readonly items: Item[]
  /** Where the answer to each item belongs: the votes of its app, and the place among them. */
  readonly places: { votes: VoteRecord[]; index: number }[]
}

/** One call per scaler instance. Never rejects: what cannot answer becomes an error vote that says why. */
export async function askScalers(
  hooks: Pick<Hooks, 'providers' | 'collect'>,
  questions: readonly Question[],
  timeoutMs: number,
): Promise<VoteRecord[][]> {
  const providers = hooks.providers('scaler')
  const byName = new Map(providers.map((provider) => [provider.instance, provider]))
  const defaults = providers.filter(({ isDefault }) => isDefault).map(({ instance }) => instance)
  const batches = new Map<string, Batch>()
  const allVotes = questions.map(({ app, metrics, scalers }) => {
    const votes: VoteRecord[] = []
    for (const [index, name] of (scalers ?? defaults).entries()) {
      const provider = byName.get(name)
      if (!provider?.isServing) {
        votes.push(provider ? failed(name, 'ORC_HOOK_NOT_SERVING', 'it is not serving') : unknown(name, byName))
        continue
      }
      const batch = batches.get(name) ?? { items: [], places: [] }
      batches.set(name, batch)
      batch.items.push({ app, metrics: pick(metrics, provider.declares.metrics) })
      batch.places.push({ votes, index })
      // Taken now, so that votes keep the order in which the app names its scalers.
      votes.push(failed(name, 'ORC_HOOK_OUTPUT_INVALID', 'it gave no answer for this app'))
    }
    return votes
  })
  if (batches.size > 0) await collect(hooks, batches, timeoutMs)
  return allVotes
}

async function collect(hooks: Pick<Hooks, 'collect'>, batches: Map<string, Batch>, timeoutMs: number): Promise<void> {
  try {
    const items = new Map([...batches].map(([name, batch]) => [name, batch.items]))
    const answers = await hooks.collect('scaler', 'decide', items, { timeoutMs })
    for (const [name, { places }] of batches) {
      for (const [slot, answer] of (answers.get(name) ?? []).entries()) {
        const place = places[slot]
        if (place !== undefined) place.votes[place.index] = toRecord(name, answer)
      }
    }
  } catch (error) {
    for (const [name, { places }] of batches) {
      for (const { votes, index } of places) votes[index] = failed(name, codeOf(error), messageOf(error))
    }
  }
}

function toRecord(scaler: string, answer: Answer<Vote>): VoteRecord {
  return answer.ok ? { scaler, vote: answer.value } : failed(scaler, answer.failure.code, answer.failure.message)
}

function failed(scaler: string, code: ErrorCode, message: string): VoteRecord {
  return { scaler, error: { code, message } }
}

function unknown(name: string, byName: ReadonlyMap<string, Provider>): VoteRecord {
  const there = byName.size === 0 ? 'none is installed' : `there are ${[...byName.keys()].join(', ')}`
  return failed(name, 'ORC_PLUGIN_UNKNOWN', `there is no scaler of this name; ${there}`)
}

/** Only what the scaler declares that it reads: the rest need not cross. */
function pick(metrics: Metrics, declared: unknown): Item['metrics'] {
  if (!Array.isArray(declared)) return metrics as Item['metrics']
  const picked: Item['metrics'] = {}
  for (const name of declared) {
    const window = metrics[String(name)]
    if (window !== undefined) picked[String(name)] = window
  }
  return picked
}
