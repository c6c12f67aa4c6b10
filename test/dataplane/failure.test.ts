import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureOf, mayRetry } from '../../runtime/dataplane/failure.ts'

const error = (code: string) => Object.assign(new Error(code), { code })

const failures: [code: string, isSent: boolean, kind: string, status: string][] = [
  ['ECONNREFUSED', false, 'refused', 'ORC_DATAPLANE_ENDPOINT_FAILED'],
  ['EHOSTUNREACH', false, 'refused', 'ORC_DATAPLANE_ENDPOINT_FAILED'],
  ['UND_ERR_CONNECT_TIMEOUT', false, 'connectTimeout', 'ORC_DATAPLANE_ENDPOINT_TIMEOUT'],
  ['UND_ERR_SOCKET', true, 'died', 'ORC_DATAPLANE_ENDPOINT_FAILED'],
  ['ECONNRESET', true, 'died', 'ORC_DATAPLANE_ENDPOINT_FAILED'],
  ['UND_ERR_HEADERS_TIMEOUT', true, 'slow', 'ORC_DATAPLANE_ENDPOINT_TIMEOUT'],
  ['HPE_INVALID_CONSTANT', true, 'garbled', 'ORC_DATAPLANE_ENDPOINT_FAILED'],
  ['UND_ERR_INVALID_ARG', false, 'invalid', 'ORC_DATAPLANE_REQUEST_INVALID'],
]
for (const [code, isSent, kind, expected] of failures)
  test(`${code} ${isSent ? 'after' : 'before'} sending is ${kind}`, () => {
    const failure = failureOf(error(code), isSent)
    assert.equal(failure.kind, kind)
    assert.equal(failure.code, expected)
    assert.match(failure.detail('shop', 2), /shop|forwarded/)
  })

const retries: [
  kind: 'refused' | 'connectTimeout' | 'died' | 'slow' | 'garbled',
  method: string,
  isBodyTouched: boolean,
  may: boolean,
][] = [
  ['refused', 'POST', false, true],
  ['connectTimeout', 'PATCH', false, true],
  ['refused', 'POST', true, false],
  ['died', 'GET', false, true],
  ['died', 'HEAD', false, true],
  ['died', 'OPTIONS', false, true],
  ['died', 'PUT', false, true],
  ['died', 'DELETE', false, true],
  ['died', 'PUT', true, false],
  ['died', 'POST', false, false],
  ['died', 'PATCH', false, false],
  ['slow', 'GET', false, false],
  ['garbled', 'GET', false, false],
]
for (const [kind, method, isBodyTouched, may] of retries)
  test(`${method} ${isBodyTouched ? 'with a begun body ' : ''}is ${may ? '' : 'not '}sent again when the endpoint ${kind}`, () => {
    assert.equal(mayRetry({ kind }, { isBodyTouched, request: { method } }), may)
  })
