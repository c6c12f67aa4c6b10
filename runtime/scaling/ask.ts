/** Asks every scaler about all its apps at once, and makes a vote of whatever comes back. */
import type { AppView, Metrics, Vote } from '@orchestry/sdk'
import { codeOf, type ErrorCode, messageOf } from '../errors.ts'
import type { Answer, Hooks, Provider } from '../hooks/hooks.ts'
import { limits } from '../limits.ts'
import type { VoteRecord } from './decision.ts'

export interface Question {
  readonly app: AppView
  readonly metrics: Metrics
  /** Names of scaler instances; absent = the default ones. */
  readonly scalers?: readonly string[]
}

type Item = { app: AppView; metrics: Record<string, NonNullable<Metrics[string]>> }
interface Batch {
  readonly provider: Provider
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
      const batch = batches.get(name) ?? { provider, items: [], places: [] }
      batches.set(name, batch)
      batch.items.push({ app, metrics: pick(metrics, provider.declares.metrics) })
      batch.places.push({ votes, index })
      // Taken now, so that votes keep the order in which the app names its scalers.
      votes.push(failed(name, 'ORC_HOOK_OUTPUT_INVALID', 'it gave no answer for this app'))
    }
    return votes
  })
  const single = [...batches.values()].filter(({ provider }) => isAskedSingly(provider))
  const whole = [...batches.values()].filter(({ provider }) => !isAskedSingly(provider))
  await Promise.all([
    single.length > 0 && collectSingly(hooks, single, timeoutMs),
    whole.length > 0 && collectWhole(hooks, whole, timeoutMs),
  ])
  return allVotes
}

function isAskedSingly({ functions }: Provider): boolean {
  return functions.includes('decide') || !functions.includes('decideAll')
}

async function collectSingly(hooks: Pick<Hooks, 'collect'>, batches: Batch[], timeoutMs: number): Promise<void> {
  try {
    const items = new Map(batches.map(({ provider, items }) => [provider.instance, items]))
    const answers = await hooks.collect('scaler', 'decide', items, { timeoutMs })
    for (const batch of batches) {
      for (const [slot, answer] of (answers.get(batch.provider.instance) ?? []).entries()) place(batch, slot, answer)
    }
  } catch (error) {
    for (const batch of batches) failAll(batch, error)
  }
}

/** A plugin that wants to see its apps together gets them in as few lists as a message may hold. */
async function collectWhole(hooks: Pick<Hooks, 'collect'>, batches: Batch[], timeoutMs: number): Promise<void> {
  const size = limits.batchItems
  try {
    const lists = new Map(
      batches.map(({ provider, items }) => [
        provider.instance,
        Array.from({ length: Math.ceil(items.length / size) }, (_, list) =>
          items.slice(list * size, (list + 1) * size),
        ),
      ]),
    )
    const answers = await hooks.collect('scaler', 'decideAll', lists, { timeoutMs })
    for (const batch of batches) {
      for (const [list, answer] of (answers.get(batch.provider.instance) ?? []).entries()) {
        const from = list * size
        const asked = Math.min(size, batch.items.length - from)
        for (let slot = 0; slot < asked; slot += 1) place(batch, from + slot, spread(answer, slot, asked))
      }
    }
  } catch (error) {
    for (const batch of batches) failAll(batch, error)
  }
}

/** Votes of one list belong to apps by their place alone: a list of another length says nothing for certain about any. */
function spread(answer: Answer<Vote[]>, slot: number, asked: number): Answer<Vote> | string {
  if (!answer.ok) return answer
  const vote = answer.value[slot]
  if (vote === undefined || answer.value.length !== asked) {
    return `decideAll was asked for ${asked} votes and gave ${answer.value.length}`
  }
  return { ok: true, value: vote }
}

function place(batch: Batch, slot: number, answer: Answer<Vote> | string): void {
  const target = batch.places[slot]
  if (target === undefined) return
  const scaler = batch.provider.instance
  if (typeof answer === 'string') target.votes[target.index] = failed(scaler, 'ORC_HOOK_OUTPUT_INVALID', answer)
  else if (answer.ok) target.votes[target.index] = { scaler, vote: answer.value }
  else target.votes[target.index] = failed(scaler, answer.failure.code, answer.failure.message)
}

function failAll(batch: Batch, error: unknown): void {
  for (const { votes, index } of batch.places) {
    votes[index] = failed(batch.provider.instance, codeOf(error), messageOf(error))
  }
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
