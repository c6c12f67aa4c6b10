import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { calm } from '../../runtime/reconcile/backoff.ts'
import type { Facts, Goal, ReplicaFacts, Step } from '../../runtime/reconcile/facts.ts'
import { plan } from '../../runtime/reconcile/plan.ts'

const nowMs = 1_000_000

/**
 * One replica, as a word: what it is, then marks. `new` and `old` serve and take requests; `starting`, `pending`, `sick`
 * (unhealthy after it served), `draining`, `stopping`, `dead`. Marks: `-` of the old version, `!` its probe says unhealthy,
 * `+` ready but not yet routed, `~` unrouted, `0` no connection left.
 */
function replica(word: string, index: number): ReplicaFacts {
  const [, kind = '', marks = ''] = /^([a-z]+)(.*)$/.exec(word) ?? []
  const has = (mark: string) => marks.includes(mark)
  const isServing = kind === 'new' || kind === 'old'
  const isStarting = kind === 'starting' || kind === 'pending'
  const isLeaving = kind === 'draining' || kind === 'stopping'
  const rotation = isStarting ? 'starting' : kind === 'sick' ? 'unhealthy' : isLeaving ? kind : 'serving'
  const isUnwell = kind === 'sick' || has('!')
  return {
    id: `r${index}`,
    isCurrent: kind !== 'old' && !has('-'),
    state: kind === 'pending' ? 'pending' : kind === 'dead' ? 'dead' : 'running',
    // The later in the list, the younger.
    startedAtMs: nowMs - 30_000 + index,
    rotation: has('+') ? 'starting' : rotation,
    sinceMs: nowMs - 1000,
    hasHealthCheck: true,
    isOpen: false,
    health: isUnwell ? 'unhealthy' : isStarting ? 'unknown' : 'healthy',
    isAdopted: false,
    hasServed: !isStarting && !has('+'),
    isReceiving: isServing && !has('+'),
    wasRouted: !isStarting && !has('+'),
    ...(has('~') || kind === 'sick' ? { unroutedAtMs: nowMs - 1000 } : {}),
    ...(has('0') ? { activeConnections: 0 } : {}),
  }
}

const goal = (replicas: number, more: Partial<Goal> = {}): Goal => ({
  replicas,
  rollout: { maxSurge: 1, maxUnavailable: 0, drainSeconds: 5, stopGraceSeconds: 5 },
  startupBudgetMs: 60_000,
  ...more,
})
const rollout = (maxSurge: number, maxUnavailable: number) => ({
  rollout: { maxSurge, maxUnavailable, drainSeconds: 5, stopGraceSeconds: 5 },
})

/** Facts in which what was published fits the replicas, so that only what the case is about shows. */
function facts(words: string, more: Partial<Facts> = {}): Facts {
  const replicas = words.split(' ').filter(Boolean).map(replica)
  const endpoints = replicas.filter((one) => one.rotation === 'serving').map((one) => one.id)
  const leaving = new Set(['draining', 'stopping', 'unhealthy'])
  const draining = replicas.filter((one) => one.wasRouted && leaving.has(one.rotation)).map((one) => one.id)
  const published = { endpoints, draining }
  return { replicas, published, isRouteStale: false, backoff: calm, holdUntilMs: 0, countedAtMs: nowMs, ...more }
}

/** The same without health checks; those that serve have accepted a connection. */
function unchecked(words: string, youngestForMs: number): Facts {
  const given = facts(words)
  return {
    ...given,
    replicas: given.replicas.map((one) => ({
      ...one,
      hasHealthCheck: false,
      health: 'unknown',
      isOpen: one.hasServed,
      startedAtMs: one.hasServed ? one.startedAtMs : nowMs - youngestForMs,
    })),
  }
}

/** Without health checks; the second one was open and is no more. */
function shut(words: string, published?: Facts['published']): Facts {
  const given = unchecked(words, 0)
  return {
    ...given,
    ...(published === undefined ? {} : { published }),
    replicas: given.replicas.map((one) => (one.id === 'r1' ? { ...one, isShut: true } : one)),
  }
}

/** Steps as words, in their order. */
function words(steps: readonly Step[]): string {
  return steps
    .map((step) => {
      if (step.do === 'publish') return `publish(${step.endpoints.join()}|${step.draining.join()})`
      if (step.do === 'start') return `start*${step.count}`
      if (step.do === 'rotate') return `${step.id}:${step.to}`
      return step.do === 'count' ? 'count' : `${step.do}(${step.id})`
    })
    .join(' ')
}

type Row = [sentence: string, goal: Goal, facts: Facts, expected: string]
function table(rows: Row[]): void {
  for (const [sentence, wanted, given, expected] of rows) {
    test(sentence, () => assert.equal(words(plan(wanted, given, nowMs).steps), expected))
  }
}

describe('scaling out', () => {
  table([
    ['nothing wanted and nothing there is nothing to do', goal(0), facts(''), ''],
    ['what is as wanted is left alone', goal(2), facts('new new'), ''],
    [
      'an app that was never published is, with nothing',
      goal(0),
      { ...facts(''), published: undefined as never },
      'publish(|)',
    ],
    ['what is missing is started', goal(3), facts('new'), 'start*2'],
    ['what is being started counts', goal(3), facts('new pending starting'), ''],
    ['another route is published', goal(1), facts('new', { isRouteStale: true }), 'publish(r0|)'],
    ['a healthy new one is published', goal(2), facts('new new+'), 'r1:serving publish(r0,r1|)'],
    ['one that does not answer yet is not', goal(2), facts('new starting!'), ''],
    ['what leaves does not count', goal(2), facts('new draining'), 'start*1'],
  ])
})

describe('a death', () => {
  table([
    ['is published before its successor is started', goal(2), facts('new dead'), 'discard(r1) publish(r0|) start*1'],
    ['of all is no reason to wait', goal(2), facts('dead dead'), 'discard(r0) discard(r1) publish(|) start*2'],
    [
      'of one that was leaving needs no successor',
      goal(1),
      facts('new dead', { published: { endpoints: ['r0'], draining: ['r1'] } }),
      'discard(r1) publish(r0|)',
    ],
  ])
})

describe('scaling in', () => {
  table([
    [
      'takes the youngest, publishes first and does not stop it yet',
      goal(2),
      facts('new new new'),
      'retire(r2) publish(r0,r1|r2)',
    ],
    ['takes one that is not ready before any that serves', goal(2), facts('new starting new'), 'retire(r1) stop(r1)'],
    ['takes an unhealthy one first', goal(1), facts('sick new'), 'retire(r0)'],
    [
      'takes the old version first, when the new one serves',
      goal(2),
      facts('new old new'),
      'retire(r1) publish(r0,r2|r1)',
    ],
    [
      'of a rollout takes old ones, however few new ones serve',
      goal(2),
      facts('old old old old'),
      'retire(r3) retire(r2) publish(r0,r1|r2,r3) start*1',
    ],
    ['lets a start that is under way end before it is stopped', goal(0), facts('pending'), 'retire(r0)'],
    ['to nothing takes all', goal(0), facts('new new'), 'retire(r1) retire(r0) publish(|r0,r1)'],
  ])
})

describe('a drain', () => {
  const drained = (sinceMs: number) => {
    const given = facts('new draining~')
    return {
      ...given,
      replicas: given.replicas.map((one) => (one.id === 'r1' ? { ...one, unroutedAtMs: sinceMs } : one)),
    }
  }
  table([
    ['waits for the load balancer', goal(1), facts('new draining'), ''],
    ['counts what is left now and then', goal(1), facts('new draining~', { countedAtMs: nowMs - 200 }), 'count'],
    ['does not count again at once', goal(1), facts('new draining~', { countedAtMs: nowMs - 199 }), ''],
    ['ends with the last connection', goal(1), facts('new draining~0'), 'stop(r1)'],
    ['does not end by a count from before it was unrouted', goal(1), facts('new draining0'), ''],
    ['ends at its deadline', goal(1), drained(nowMs - 5000), 'stop(r1)'],
    ['does not end before its deadline', goal(1), drained(nowMs - 4999), ''],
    ['is over for one that is being stopped', goal(1), facts('new stopping~0'), ''],
  ])
})

describe('ill health', () => {
  const serving = facts('new new!')
  table([
    [
      'takes a replica out of rotation and starts another beside it',
      goal(2),
      serving,
      'r1:unhealthy publish(r0|r1) start*1',
    ],
    ['does not stop a replica while its substitute starts', goal(2), facts('new sick starting'), ''],
    ['ends a replica when its substitute serves', goal(2), facts('new sick new'), 'retire(r1)'],
    [
      'of all substitutes one after the other',
      goal(3),
      facts('sick sick sick', { published: { endpoints: ['r0', 'r1', 'r2'], draining: [] } }),
      'start*1',
    ],
    [
      'of all ends one when one substitute serves, which makes room for the next',
      goal(3),
      facts('sick sick sick new'),
      'retire(r2) start*1',
    ],
    [
      'without surge makes room first, for one',
      goal(2, rollout(0, 1)),
      facts('sick sick'),
      'retire(r1) publish(r0|r1) start*1',
    ],
    [
      'that has passed puts a replica back',
      goal(2),
      { ...facts('new sick'), replicas: [replica('new', 0), { ...replica('sick', 1), health: 'healthy' }] },
      'r1:serving publish(r0,r1|)',
    ],
    [
      'of which nothing is known changes nothing',
      goal(1),
      { ...facts('new'), replicas: [{ ...replica('new', 0), health: 'unknown' }] },
      '',
    ],
    [
      'does not matter without a health check',
      goal(1),
      { ...facts('new'), replicas: [{ ...replica('new!', 0), hasHealthCheck: false }] },
      '',
    ],
    [
      'until the startup budget is spent ends a start',
      goal(1, { startupBudgetMs: 30_000 }),
      facts('starting!'),
      'retire(r0) stop(r0) start*1',
    ],
    ['of a start is no matter before that', goal(1, { startupBudgetMs: 30_001 }), facts('starting!'), ''],
    ['of the last one leaves it in rotation until another serves', goal(1), facts('new!'), 'r0:unhealthy start*1'],
    [
      'of all at once takes none of them out, and replaces one after the other',
      goal(3),
      facts('new! new! new!'),
      'r0:unhealthy r1:unhealthy r2:unhealthy start*1',
    ],
    [
      'of all but one leaves all requests to that one',
      goal(3),
      facts('new! new! new'),
      'r0:unhealthy r1:unhealthy publish(r2|r0,r1) start*1',
    ],
    [
      'of those that already were out puts them back when the last one falls, too',
      goal(3),
      facts('sick sick new!'),
      'r2:unhealthy publish(r0,r1,r2|) start*1',
    ],
    ['of one that has never served is no last resort', goal(1), facts('starting!'), ''],
    [
      'of one whose process ended neither',
      goal(1),
      { ...facts('dead!'), published: { endpoints: [], draining: [] } },
      'discard(r0) start*1',
    ],
    [
      'that is over for one leaves the others out again',
      goal(2),
      {
        ...facts('sick sick', { published: { endpoints: ['r0', 'r1'], draining: [] } }),
        replicas: [{ ...replica('sick', 0), health: 'healthy' }, replica('sick', 1)],
      },
      'r0:serving publish(r0|r1) start*1',
    ],
    [
      'that is unknown does not end a start: the check may be at fault',
      goal(1, { startupBudgetMs: 30_000 }),
      facts('starting'),
      '',
    ],
  ])
})

describe('without a health check', () => {
  const open = { ...unchecked('starting', 100) }
  table([
    ['a replica that does not listen yet is not published', goal(1), unchecked('starting', 9_999), ''],
    [
      'it is as soon as it accepts a connection',
      goal(1),
      { ...open, replicas: open.replicas.map((one) => ({ ...one, isOpen: true })) },
      'r0:serving publish(r0|)',
    ],
    ['one that never listens counts as a worker', goal(1), unchecked('starting', 10_000), 'r0:serving publish(r0|)'],
    ['but not where the spec names ports', goal(1, { mustListen: true }), unchecked('starting', 10_000), ''],
    ['but not beside one that listens', goal(2), unchecked('new starting', 59_999), ''],
    ['there it has failed', goal(2), unchecked('new starting', 60_000), 'retire(r1) stop(r1) start*1'],
    [
      'one that is shut leaves rotation, and a substitute is started',
      goal(2),
      shut('new new'),
      'r1:unhealthy publish(r0|r1) start*1',
    ],
    [
      'one that is shut is no last resort',
      goal(1),
      { ...shut('new new'), replicas: shut('new new').replicas.slice(1) },
      'r1:unhealthy publish(|r1) start*1',
    ],
    [
      'one that is shut ends when its substitute serves',
      goal(2),
      shut('new sick new', { endpoints: ['r0', 'r2'], draining: ['r1'] }),
      'retire(r1)',
    ],
    ['and what it should replace stays', goal(1), unchecked('old starting', 60_000), 'retire(r1) stop(r1) start*1'],
  ])
  test('the plan is made again when it will count as a worker', () => {
    assert.equal(plan(goal(1), unchecked('starting', 4_000), nowMs).wakeAtMs, nowMs + 6_000)
  })
})

describe('a rollout', () => {
  table([
    ['starts as many as the surge allows', goal(3, rollout(2, 0)), facts('old old old'), 'start*2'],
    ['keeps all old ones while no new one serves', goal(3), facts('old old old starting'), ''],
    [
      'keeps them while the load balancer has not taken the new one',
      goal(3),
      facts('old old old new+'),
      'r3:serving publish(r0,r1,r2,r3|)',
    ],
    [
      'lets one old one go for each new one that takes requests',
      goal(3),
      facts('old old old new'),
      'retire(r2) publish(r0,r1,r3|r2) start*1',
    ],
    ['lets unhealthy old ones go before healthy ones', goal(3), facts('sick- old old new'), 'retire(r0) start*1'],
    ['ends old ones that only start', goal(3), facts('old old starting-'), 'retire(r2) stop(r2) start*2'],
    [
      'uses what may be unavailable once a new one has shown that it serves',
      goal(4, rollout(1, 1)),
      facts('old old old old new'),
      'retire(r3) retire(r2) publish(r0,r1,r4|r2,r3) start*2',
    ],
    ['does not use it before', goal(4, rollout(1, 1)), facts('old old old old'), 'start*1'],
    [
      'without surge makes room first',
      goal(3, rollout(0, 1)),
      facts('old old old'),
      'retire(r2) publish(r0,r1|r2) start*1',
    ],
    ['without surge makes no more room than may be unavailable', goal(3, rollout(0, 1)), facts('old old starting'), ''],
    [
      'with neither surge nor unavailability goes one by one all the same, and makes room first',
      goal(2, rollout(0, 0)),
      facts('old old'),
      'retire(r1) publish(r0|r1) start*1',
    ],
    ['mends a death with the new version', goal(3), facts('old old dead'), 'discard(r2) publish(r0,r1|) start*2'],
    ['is over when none of the old ones is left', goal(2), facts('new new'), ''],
    [
      'that scales in at the same time never starts beyond the surge',
      goal(1),
      facts('old old starting starting'),
      'retire(r3) stop(r3) retire(r1)'.replace(' stop(r3) retire(r1)', ' retire(r1) publish(r0|r1) stop(r3)'),
    ],
  ])
})

describe('an end', () => {
  const ending = goal(0, { ending: 'the app was stopped' })
  const late = facts('draining')
  const longAgo = { ...late, replicas: late.replicas.map((one) => ({ ...one, sinceMs: nowMs - 15_000 })) }
  table([
    ['publishes nothing, then drains', ending, facts('new new'), 'retire(r0) retire(r1) publish(|r0,r1)'],
    ['stops what never served at once', ending, facts('starting'), 'retire(r0) stop(r0)'],
    ['waits for the load balancer', ending, late, ''],
    ['does not wait for ever', ending, longAgo, 'stop(r0)'],
    ['of other replicas waits as long as it takes', goal(0), longAgo, ''],
  ])
})

describe('backoff', () => {
  const failed = (failures: number, retryAtMs: number) => ({
    backoff: { failures, lastFailureAtMs: nowMs - 100, retryAtMs },
  })
  table([
    ['starts nothing before its time', goal(3), facts('new', failed(1, nowMs + 1)), ''],
    ['tries with one', goal(3), facts('', failed(1, nowMs)), 'start*1'],
    ['tries with no more while that one starts', goal(3), facts('starting', failed(3, nowMs)), ''],
    ['is over for all others when one serves', goal(3), facts('new', failed(3, nowMs)), 'start*2'],
    ['does not hold up what an accident took', goal(3), facts('', failed(1, nowMs - 100)), 'start*3'],
  ])
})

describe('a load balancer that refuses', () => {
  table([
    ['is told again when it is time', goal(1), facts('new', { republishAtMs: nowMs }), 'publish(r0|)'],
    ['is not told again before', goal(1), facts('new', { republishAtMs: nowMs + 1 }), ''],
    [
      'is told at once what has changed',
      goal(1),
      facts('new+', { republishAtMs: nowMs + 1 }),
      'r0:serving publish(r0|)',
    ],
  ])
})

describe('adoption', () => {
  const found = (health: ReplicaFacts['health'], more: Partial<ReplicaFacts> = {}): ReplicaFacts => ({
    ...replica('starting', 0),
    health,
    isAdopted: true,
    hasServed: true,
    wasRouted: true,
    ...more,
  })
  const adopted = (replicas: ReplicaFacts[], holdUntilMs: number): Facts => {
    const { published: _none, ...rest } = facts('', { holdUntilMs })
    return { ...rest, replicas }
  }
  table([
    ['decides nothing until what was found is probed', goal(3), adopted([found('unknown')], nowMs + 1), ''],
    ['decides when it is', goal(1), adopted([found('healthy')], nowMs + 1), 'r0:serving publish(r0|)'],
    [
      'counts what could not be probed in time as serving',
      goal(1),
      adopted([found('unknown')], nowMs),
      'r0:serving publish(r0|)',
    ],
    [
      'does not wait for what has no health check',
      goal(1),
      adopted([found('unknown', { hasHealthCheck: false })], nowMs + 1),
      'r0:serving publish(r0|)',
    ],
    [
      'does not publish what is unhealthy beside what is not',
      goal(2),
      adopted([found('unhealthy'), found('healthy', { id: 'r1' })], nowMs),
      'r0:unhealthy r1:serving publish(r1|r0) start*1',
    ],
    [
      'does not wait when one has died',
      goal(1),
      adopted([found('unknown', { state: 'dead' })], nowMs + 1),
      'discard(r0) publish(|) start*1',
    ],
    [
      'lets one that was just started go on starting',
      goal(1),
      adopted([found('unhealthy', { hasServed: false })], nowMs),
      'publish(|)',
    ],
  ])
})

describe('the next time to plan', () => {
  const rows: [string, Goal, Facts, number | undefined][] = [
    ['is never, when all is as wanted', goal(2), facts('new new'), undefined],
    [
      'is when the backoff ends',
      goal(2),
      facts('new', { backoff: { failures: 1, lastFailureAtMs: 0, retryAtMs: nowMs + 500 } }),
      nowMs + 500,
    ],
    ['is when a start has had its time', goal(1), facts('starting!'), nowMs - 30_000 + 60_000],
    ['is when connections are counted again', goal(1), facts('new draining~'), nowMs + 200],
    ['is when the load balancer is told again', goal(1), facts('new', { republishAtMs: nowMs + 700 }), nowMs + 700],
    [
      'is when replicas that were found have been waited for',
      goal(1),
      {
        ...facts('starting', { holdUntilMs: nowMs + 900 }),
        replicas: [{ ...replica('starting', 0), isAdopted: true }],
      },
      nowMs + 900,
    ],
  ]
  for (const [sentence, wanted, given, expected] of rows) {
    test(sentence, () => assert.equal(plan(wanted, given, nowMs).wakeAtMs, expected))
  }
})

describe('a surge in percent', () => {
  const share = (maxSurge: '25%', maxUnavailable: '25%') => ({
    rollout: { maxSurge, maxUnavailable, drainSeconds: 5, stopGraceSeconds: 5 },
  })
  const old = (count: number) => Array.from({ length: count }, () => 'old').join(' ')
  table([
    ['starts a batch of it', goal(12, share('25%', '25%')), facts(old(12)), 'start*3'],
    ['is of what is wanted at the time', goal(5, share('25%', '25%')), facts(old(5)), 'start*2'],
    [
      'lets as many go as are ready, and as many more as may be unavailable',
      goal(8, share('25%', '25%')),
      facts(`${old(8)} new new`),
      'retire(r7) retire(r6) retire(r5) retire(r4) publish(r0,r1,r2,r3,r8,r9|r4,r5,r6,r7) start*4',
    ],
  ])
})

describe('a new replica', () => {
  const patient = (minReadySeconds: number) => ({ rollout: { ...goal(1).rollout, minReadySeconds } })
  table([
    ['that has not served long enough replaces nobody', goal(2, patient(2)), facts('old old new'), ''],
    [
      'that has served long enough replaces one',
      goal(2, patient(1)),
      facts('old old new'),
      'retire(r1) publish(r0,r2|r1) start*1',
    ],
  ])
  test('is looked at again when it will have', () => {
    assert.equal(plan(goal(2, patient(2)), facts('old old new'), nowMs).wakeAtMs, nowMs + 1000)
  })
})

describe('a driver that cannot be reached', () => {
  const away = (words: string) => {
    const given = facts(words)
    return { ...given, replicas: given.replicas.map((one) => ({ ...one, isOutOfReach: true })) }
  }
  const stalled = (replicas: number, more: Partial<Goal> = {}) => goal(replicas, { isStalled: true, ...more })
  table([
    ['starts nothing', stalled(3), away('new'), ''],
    ['is not asked to stop what is drained', stalled(1), away('new draining~0'), ''],
    ['lets nothing fail', stalled(1, { startupBudgetMs: 30_000 }), away('starting!'), ''],
    ['does not keep the unhealthy in rotation', stalled(2), away('new new!'), 'r1:unhealthy publish(r0|r1)'],
    ['lets what is no longer wanted leave the rotation', stalled(1), away('new new'), 'retire(r1) publish(r0|r1)'],
  ])
})

describe('who leaves first', () => {
  table([
    ['is the unhealthy one', goal(1), facts('new sick starting'), 'retire(r2) retire(r1) stop(r2)'],
    ['then one that starts', goal(2), facts('new starting new'), 'retire(r1) stop(r1)'],
    ['then one that is not even started', goal(2), facts('new pending new'), 'retire(r1)'],
    ['then the youngest', goal(2), facts('new new new'), 'retire(r2) publish(r0,r1|r2)'],
  ])
})
