/** Hostile guests: what nothing inside can stop. Each against the real sandbox, one process for all of them. */
import { test } from 'node:test'
import { natives } from './guests/natives.ts'
import { stage } from './guests/stage.ts'

test('hostile guests: what nothing inside can stop', (t) => stage(t, natives))
