/** The hook table is complete: eight kinds, each with a discipline, what becomes of failures, and schemas that can be used. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Compile } from 'typebox/compile'
import { capabilitySchemas, hookKinds, hookTable } from '../../sdk/index.ts'
import { capabilityOperations } from '../../sdk/operations.ts'

describe('the hook table', () => {
  it('has the eight kinds with their disciplines', () => {
    assert.deepEqual(Object.fromEntries(hookKinds.map((kind) => [kind, hookTable[kind].discipline])), {
      scaler: 'collect',
      healthCheck: 'first',
      loadBalancer: 'exclusive',
      metricsSource: 'collect',
      metricsExporter: 'broadcast',
      eventHandler: 'broadcast',
      authProvider: 'first',
      storageBackend: 'exclusive',
    })
  })
  for (const kind of hookKinds) {
    const { onFailure, declares, functions } = hookTable[kind]
    it(`${kind}: says what becomes of failures, and its schemas compile`, () => {
      assert.match(onFailure, /\w{3}/)
      Compile(declares)
      for (const { input, output } of Object.values(functions)) {
        Compile(input)
        Compile(output)
      }
    })
    it(`${kind}: offers something to call, and a list twin for every function called item by item`, () => {
      const rows: [string, { per: string; needed: boolean }][] = Object.entries(functions)
      assert.ok(rows.length > 0)
      for (const [name, { per, needed }] of rows) {
        if (per !== 'item') continue
        assert.ok(`${name}All` in functions, `${kind}.${name}All`)
        assert.equal(needed, false, 'either twin will do')
      }
    })
  }
  it('every capability has a grammar and a row of operations', () => {
    assert.deepEqual(Object.keys(capabilityOperations).toSorted(), Object.keys(capabilitySchemas).toSorted())
  })
})
