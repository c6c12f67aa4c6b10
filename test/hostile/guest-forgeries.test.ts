/** Hostile guests: forgeries and floods on the bridge. Each against the real sandbox, one process for all of them. */
import { test } from 'node:test'
import { floods, forgeries } from './guests/forgeries.ts'
import { stage } from './guests/stage.ts'

test('hostile guests: forgeries and floods on the bridge', (t) => stage(t, [...forgeries, ...floods]))
