/** The properties of everything that reads what a stranger wrote, from fixed seeds; `npm run fuzz` goes on from there. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseUntrustedJson } from '../../runtime/sandbox/json.ts'
import { properties, trying } from '../fuzz/properties.ts'

const seeds = [1, 20, 4711]

describe('whatever a stranger writes', () => {
  for (const { name, check } of properties) {
    test(name, () => {
      for (const seed of seeds) check({ seed, numRuns: 150 })
    })
  }

  for (const [name, write] of trying) {
    test(`is read in one pass: ${name}`, () => {
      const took = (length: number) => {
        const text = write(length)
        const startedMs = performance.now()
        try {
          parseUntrustedJson(text, 32)
        } catch {
          // Whether it is refused is not the question here.
        }
        return performance.now() - startedMs
      }
      took(60_000)
      assert.ok(took(1_200_000) < 500, `${took(1_200_000)} ms`)
    })
  }
})
