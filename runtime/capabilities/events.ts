/** Lets a plugin say that something happened, under its own names, and read what it was granted to hear. */
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import { createPace } from '../pace.ts'
import { argumentsOf, maybe } from './arguments.ts'
import type { Capability } from './capability.ts'
import { matchesName, narrowNames, overlaps, patternProblems, targetsOf } from './name-pattern.ts'

const perSecond = 10
const dataBytes = 16 * 1024
const looked = 1_000
/** An event that answers an event that answers an event …: so many, and no more. */
const deepest = 8

const readEmit = argumentsOf(
  'events.emit',
  Type.String({ pattern: '^[a-z][a-zA-Z]*(\\.[a-z][a-zA-Z]*)+$', maxLength: 128 }),
  Type.Record(Type.String(), Type.Unknown()),
  maybe(Type.String({ minLength: 1, maxLength: 128 })),
)
const readRecent = argumentsOf('events.recent', maybe(Type.Integer({ minimum: 1, maximum: 200 })))

/** `coreTypes` are the runtime's own event types: whoever reads one may rely on it being ours. */
export function createEventsCapability(deps: {
  events: Pick<Events, 'append' | 'list'>
  clock: Clock
  coreTypes: readonly string[]
  /** Hides what nobody is to read in the name of an app, which a guest may choose; the data is seen to where it is stored. */
  redact?: (text: string) => string
}): Capability<'events'> {
  const { events, clock, redact = (text: string) => text } = deps
  const coreNouns = [...new Set(deps.coreTypes.map((type) => `${type.split('.')[0]}.*`))]
  return {
    kind: 'events',
    check({ emit = [], subscribe = [] }) {
      const reserved = emit.flatMap((pattern) =>
        coreNouns
          .filter((noun) => overlaps(noun, pattern))
          .slice(0, 1)
          .map(
            (noun) =>
              `emit: "${pattern}" would cover ${noun}, which is Orchestry's own; choose a name of the plugin's own`,
          ),
      )
      const empty = emit.length + subscribe.length === 0 ? ['neither emit nor subscribe is given'] : []
      return [...patternProblems('emit', emit), ...patternProblems('subscribe', subscribe), ...reserved, ...empty]
    },
    narrow({ emit, subscribe, ...rest }, targets) {
      const used = narrowNames(emit, targetsOf('emit', targets))
      return {
        ...rest,
        ...(used === undefined ? {} : { emit: [...used] }),
        // Which of the granted types came up is not the plugin's doing.
        ...(subscribe === undefined || !targets.includes('recent') ? {} : { subscribe }),
      }
    },
    use({ emit = [], subscribe = [] }, caller) {
      const pace = createPace({ most: perSecond, perMs: 1_000 }, clock.monotonic())
      return {
        operations: {
          async emit(args, { eventDepth = 0 }) {
            const [type, data, app] = readEmit(args)
            const isGranted = matchesName(emit, type)
            caller.onUse?.('emit', `emit ${type}`, isGranted)
            if (!isGranted) throw denied(`the type ${type} is not granted`, emit)
            if (eventDepth >= deepest)
              throw new OrchestryError(
                'ORC_CAPABILITY_LIMIT',
                `ctx.events: ${deepest} events of plugins led to this call, one to the other; such a chain goes no further`,
              )
            if (Buffer.byteLength(JSON.stringify(data)) > dataBytes)
              throw new OrchestryError(
                'ORC_CAPABILITY_LIMIT',
                `ctx.events: the data is larger than ${dataBytes / 1024} KB`,
              )
            if (pace.take(clock.monotonic()) > 0)
              throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.events: more than ${perSecond} events a second`)
            const source = `plugin:${caller.plugin}/${caller.instance}`
            await events.append([
              { type, data, source, depth: eventDepth + 1, ...(app === null ? {} : { app: redact(app) }) },
            ])
          },
          async recent(args) {
            const limit = readRecent(args)[0] ?? 50
            if (subscribe.length === 0) throw denied('reading events is not granted', subscribe)
            const newest = await events.list({ limit: looked })
            return newest.filter(({ type }) => matchesName(subscribe, type)).slice(-limit)
          },
        },
      }
    },
  }
}

const denied = (what: string, granted: readonly string[]) =>
  new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.events: ${what}; granted: ${granted.join(', ') || 'nothing'}`)
