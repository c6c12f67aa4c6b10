/** Asks every scaler about all its apps at once, and makes a vote of whatever comes back, as it comes back. */
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

/** Apps that wait for the same scalers. */
export interface AskedGroup {
  readonly questions: readonly Question[]
  /** In the order of the questions; complete once `answered` has resolved. */
  readonly votes: readonly VoteRecord[][]
  /** Never rejects. */
  readonly answered: Promise<void>
}

/**
 * One call per scaler instance. What cannot answer becomes an error vote that says why. Apps are grouped by their scalers, so
 * that a slow one delays only the apps that asked for it.
 */
export function askScalers(
  hooks: Pick<Hooks, 'providers' | 'collect'>,
  questions: readonly Question[],
  timeoutMs: number,
): AskedGroup[] {
  const providers = hooks.providers('scaler')
  const byName = new Map(providers.map((provider) => [provider.instance, provider]))
  const defaults = providers.filter(({ isDefault }) => isDefault).map(({ instance }) => instance)
  const batches = new Map<string, Batch>()
  const groups = new Map<string, { names: readonly string[]; questions: Question[]; votes: VoteRecord[][] }>()
  for (const question of questions) {
    const names = question.scalers ?? defaults
    const key = names.join('\n')
    const group = groups.get(key) ?? { names, questions: [], votes: [] }
    groups.set(key, group)
    group.questions.push(question)
    group.votes.push(places(question, names, byName, batches))
  }
  const answered = collect(hooks, batches, timeoutMs)
  return [...groups.values()].map(({ names, questions: asked, votes }) => ({
    questions: asked,
    votes,
    answered: Promise.all(names.flatMap((name) => answered.get(name) ?? [])).then(() => {}),
  }))
}

/** Puts the question into the batch of each scaler. Until one answers, its vote is that it has not. */
function places(
  { app, metrics }: Question,
  names: readonly string[],
  byName: ReadonlyMap<string, Provider>,
  batches: Map<string, Batch>,
): VoteRecord[] {
  const votes: VoteRecord[] = []
  for (const [index, name] of names.entries()) {
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
}

/** By scaler: resolves when its votes are where they belong. */
function collect(
  hooks: Pick<Hooks, 'collect'>,
  batches: ReadonlyMap<string, Batch>,
  timeoutMs: number,
): Map<string, Promise<void>> {
  const items = new Map([...batches].map(([name, batch]) => [name, batch.items]))
  const answers = hooks.collect('scaler', 'decide', items, { timeoutMs })
  const settled = new Map<string, Promise<void>>()
  for (const [name, batch] of batches) {
    const place = async () => {
      try {
        for (const [slot, answer] of ((await answers.get(name)) ?? []).entries())
          fill(batch, slot, toRecord(name, answer))
      } catch (error) {
        const record = failed(name, codeOf(error), messageOf(error))
        for (const slot of batch.places.keys()) fill(batch, slot, record)
      }
    }
    settled.set(name, place())
  }
  return settled
}

function fill({ places: all }: Batch, slot: number, record: VoteRecord): void {
  const place = all[slot]
  if (place !== undefined) place.votes[place.index] = record
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
