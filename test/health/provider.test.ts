import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chooseProvider } from '../../runtime/health/provider.ts'
import type { Provider } from '../../runtime/hooks/hooks.ts'

const provider = (instance: string, protocol: unknown, more: Partial<Provider> = {}): Provider => ({
  plugin: `@acme/${instance}`,
  version: '1.0.0',
  instance,
  kind: 'healthCheck',
  isDefault: false,
  isServing: true,
  functions: ['check'],
  declares: protocol === undefined ? {} : { protocol },
  ...more,
})

describe('the plugin that makes a health check', () => {
  const rows: [string, Provider[], string, string][] = [
    ['is the one that declares the protocol', [provider('tcp', 'TCP'), provider('http', 'HTTP')], 'HTTP', 'http'],
    ['is found in whatever case', [provider('http', 'http')], 'HTTP', 'http'],
    [
      'is the default one before others',
      [provider('a', 'HTTP'), provider('b', 'HTTP', { isDefault: true })],
      'HTTP',
      'b',
    ],
    ['is the first in the operator’s order among equals', [provider('a', 'HTTP'), provider('b', 'HTTP')], 'HTTP', 'a'],
    [
      'is one that serves before the default one that does not',
      [provider('a', 'HTTP', { isDefault: true, isServing: false }), provider('b', 'HTTP')],
      'HTTP',
      'b',
    ],
    [
      'may be one that does not serve, when there is no other',
      [provider('a', 'HTTP', { isServing: false })],
      'HTTP',
      'a',
    ],
  ]
  for (const [sentence, providers, protocol, expected] of rows) {
    test(sentence, () => assert.deepEqual(chooseProvider(providers, protocol), { instance: expected }))
  }

  test('is missing with a text that names the protocol and who serves others', () => {
    const choice = chooseProvider([provider('http', 'HTTP'), provider('odd', undefined)], 'GRPC')
    assert.ok('problem' in choice)
    assert.match(choice.problem, /protocol GRPC/)
    assert.match(choice.problem, /HTTP \(@acme\/http\)/)
  })

  test('is missing with a text that says so when no plugin serves health checks', () => {
    const choice = chooseProvider([], 'HTTP')
    assert.ok('problem' in choice && choice.problem.includes('No plugin serves health checks.'))
  })
})
