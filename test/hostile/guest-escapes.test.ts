/** Hostile guests: ways out of the realm. Each against the real sandbox, one process for all of them. */
import { test } from 'node:test'
import { escapes } from './guests/escapes.ts'
import { stage } from './guests/stage.ts'

test('hostile guests: ways out of the realm', (t) => stage(t, escapes))
