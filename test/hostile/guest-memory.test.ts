/** Hostile guests: what grows. Each against the real sandbox, one process for all of them. */
import { test } from 'node:test'
import { memory } from './guests/memory.ts'
import { stage } from './guests/stage.ts'

test('hostile guests: what grows', (t) => stage(t, memory))
