/** Hostile guests: promises and errors that bite. Each against the real sandbox, one process for all of them. */
import { test } from 'node:test'
import { errors, promises } from './guests/promises.ts'
import { stage } from './guests/stage.ts'

test('hostile guests: promises and errors that bite', (t) => stage(t, [...promises, ...errors]))
