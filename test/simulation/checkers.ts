/** All checkers by name: each watches one promise. */

import type { Checker } from './checker.ts'
import { availability } from './checkers/availability.ts'
import { bounds } from './checkers/bounds.ts'
import { convergence } from './checkers/convergence.ts'
import { drain } from './checkers/drain.ts'
import { eventOrder } from './checkers/event-order.ts'
import { fit } from './checkers/fit.ts'
import { oneTick } from './checkers/one-tick.ts'
import { replay } from './checkers/replay.ts'
import { restart } from './checkers/restart.ts'
import { toldDead } from './checkers/told-dead.ts'
import { word } from './checkers/word.ts'

export const checkers: Readonly<Record<string, Checker>> = {
  availability,
  bounds,
  convergence,
  drain,
  eventOrder,
  fit,
  oneTick,
  replay,
  restart,
  toldDead,
  word,
}
