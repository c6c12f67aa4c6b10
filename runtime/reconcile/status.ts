/** How an app stands, in one word and in sentences. Pure. */
import type { HealthState } from '../health/health.ts'
import { goalOf, isCurrent, type Loop, type Replica } from './loop.ts'
import type { AppStatus } from './reconcile.ts'
import { progressOf, rolloutView } from './rollout.ts'
import { isLeaving } from './seat.ts'
import { isRefused, wantedVersion } from './target.ts'

/** What others know of the app. */
export interface Surroundings {
  readonly stateOf: (instanceId: string) => HealthState | undefined
  readonly generation: number
  readonly balancingProblem?: string | undefined
  /** Why the app's driver cannot be worked with. */
  readonly driverProblem?: string | undefined
  readonly nowMs: number
}

/** As `isSettled`, and nothing is being rolled out any more. */
export function isAtRest(loop: Loop, shutdown?: string): boolean {
  const isRolling = goalOf(loop, shutdown).ending === undefined && loop.memory.rollout !== undefined
  return !isRolling && isSettled(loop, shutdown)
}

/** Everything is as wanted: the right number of the right version takes requests, and nothing is on its way out. */
export function isSettled(loop: Loop, shutdown?: string): boolean {
  const goal = goalOf(loop, shutdown)
  const replicas = [...loop.replicas.values()]
  if (goal.ending !== undefined) return replicas.length === 0
  const isIn = (replica: Replica) =>
    replica.rotation === 'serving' &&
    replica.instance?.isRunning === true &&
    isCurrent(loop, replica) &&
    loop.taken?.endpoints.has(replica.id) === true
  return replicas.length === goal.replicas && replicas.every(isIn) && loop.taken?.seq === loop.published?.seq
}

export function statusOf(loop: Loop, around: Surroundings): AppStatus {
  const replicas = [...loop.replicas.values()]
  const running = replicas.filter((replica) => replica.instance?.isRunning === true)
  const problems = problemsOf(loop, around)
  const progress = progressOf(loop)
  const rollout = rolloutLine(loop, around)
  return {
    app: loop.name,
    phase: phaseOf(loop, replicas.length, problems.length > 0),
    desired: loop.isDeleted ? 0 : (loop.record?.desired ?? 0),
    running: running.length,
    serving: running.filter((replica) => replica.rotation === 'serving').length,
    generation: around.generation,
    problems,
    ...(progress.length === 0 ? {} : { progress }),
    ...(rollout === undefined ? {} : { rollout }),
  }
}

function rolloutLine(loop: Loop, around: Surroundings): string | undefined {
  if (!loop.record || loop.isDeleted) return undefined
  const { state, line } = rolloutView(loop, loop.record, around)
  return state === 'done' || state === 'stopped' ? undefined : line
}

function phaseOf(loop: Loop, replicas: number, hasProblems: boolean): AppStatus['phase'] {
  if (goalOf(loop).ending !== undefined) return replicas === 0 ? 'stopped' : 'stopping'
  if (hasProblems) return 'degraded'
  return isSettled(loop) ? 'running' : 'progressing'
}

function problemsOf(loop: Loop, around: Surroundings): string[] {
  const problems: string[] = []
  const add = (text: string | undefined) => {
    if (text !== undefined && !problems.includes(text)) problems.push(text)
  }
  add(rollbackText(loop))
  add(failureText(loop, around.nowMs))
  add(unhealthyText(loop, around))
  for (const replica of loop.replicas.values()) add(around.stateOf(replica.id)?.problem)
  if (loop.published !== undefined) add(around.balancingProblem)
  add(around.driverProblem)
  return problems
}

function rollbackText(loop: Loop): string | undefined {
  const { good, refused } = loop.memory
  if (!loop.record || !good || !refused || !isRefused(loop.record, loop.memory)) return undefined
  return `Version ${refused.version} was rolled back and version ${good.version} runs. ${sentence(refused.because)} Apply a mended spec, or stop and start the app to try again.`
}

/** One accident that is mended already is no problem; what keeps failing is one even while other replicas serve. */
function failureText(loop: Loop, nowMs: number): string | undefined {
  const { failures, retryAtMs } = loop.backoff
  if (loop.failure === undefined || loop.record === undefined) return undefined
  if (failures < 2 && isSettled(loop)) return undefined
  const wanted = wantedVersion(loop.record, loop.memory)
  const waitS = Math.ceil((retryAtMs - nowMs) / 1000)
  const next = waitS > 0 ? ` Next attempt in ${waitS} s.` : ''
  const rounds = failures > 1 ? ` Version ${wanted.version} failed ${failures} times in a row.` : ''
  if (rounds === '' && next === '') return loop.failure
  return `${sentence(loop.failure)}${rounds}${next}`
}

/** What a program or an engine wrote last need not end as a sentence does. */
const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

function unhealthyText(loop: Loop, around: Surroundings): string | undefined {
  const staying = [...loop.replicas.values()].filter((replica) => !isLeaving(replica.rotation))
  const unhealthy = staying.filter((replica) => replica.rotation === 'unhealthy')
  const [first] = unhealthy
  if (!first) return undefined
  const message = first.isShut ? 'no connection is accepted' : around.stateOf(first.id)?.last?.message
  const why = message === undefined ? '' : ` (${message})`
  const what = `${unhealthy.length} of ${staying.length} replicas ${unhealthy.length === 1 ? 'is' : 'are'} unhealthy`
  const isLastResort = unhealthy.some(({ id }) => loop.published?.routing.endpoints.includes(id))
  if (isLastResort) return `${what}${why} and no other serves, so they take requests until one does.`
  return `${what} and out of rotation${why}.`
}
