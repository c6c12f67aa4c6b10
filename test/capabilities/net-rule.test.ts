import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { matchTarget, readNetRule } from '../../runtime/capabilities/net-rule.ts'

const grantOf = (fields: Partial<GrantOf<'net'>>): GrantOf<'net'> => ({ kind: 'net', why: 'test', ...fields })
const endpoints = new Set(['10.0.0.5:3000', '127.0.0.1:4000', 'fd12::5:5000'])

function decide(fields: Partial<GrantOf<'net'>>, url: string, method = 'GET'): boolean {
  const problems: string[] = []
  const rule = readNetRule(grantOf(fields), problems)
  assert.deepEqual(problems, [])
  return typeof matchTarget(rule, url, method, endpoints) !== 'string'
}

const exact = { hosts: ['api.good.test'] }
const suffix = { hosts: ['*.good.test'] }
const http = { schemes: ['http' as const] }
/** [grant, url, is it allowed] */
const urls: [Partial<GrantOf<'net'>>, string, boolean][] = [
  [exact, 'https://api.good.test/x', true],
  [exact, 'https://API.Good.TEST/x', true],
  [exact, 'https://api.good.test./x', true],
  [exact, 'https://api.good.test:443/', true],
  [exact, 'https://api.good.test:8443/', false],
  [exact, 'http://api.good.test/', false],
  [exact, 'https://api.good.test.evil.test/', false],
  [exact, 'https://good.test@evil.test/', false],
  [exact, 'https://api.good.test@evil.test/', false],
  [exact, 'https://user:pw@api.good.test/', false],
  [exact, 'https://evil.test#api.good.test', false],
  [exact, 'https://evil.test?api.good.test', false],
  [exact, 'https://evil.test\\@api.good.test/', false],
  [exact, 'https://xapi.good.test/', false],
  [exact, 'https://good.test/', false],
  [exact, 'https:api.good.test/', true],
  [exact, 'file:///etc/passwd', false],
  [exact, 'ftp://api.good.test/', false],
  [exact, 'not a url', false],
  [exact, '', false],
  [exact, `https://api.good.test/${'a'.repeat(9_000)}`, false],
  [suffix, 'https://a.good.test/', true],
  [suffix, 'https://a.b.good.test/', true],
  [suffix, 'https://good.test/', false],
  [suffix, 'https://evilgood.test/', false],
  [suffix, 'https://.good.test/', false],
  [{ hosts: ['b\u00fccher.example'] }, 'https://xn--bcher-kva.example/', true],
  [{ hosts: ['api.good.test'], ports: [8080], ...http }, 'http://api.good.test:8080/', true],
  [{ hosts: ['api.good.test'], ports: [8080], ...http }, 'http://api.good.test/', false],
  [{ hosts: ['api.good.test:9000'], ...http }, 'http://api.good.test:9000/', true],
  [{ hosts: ['api.good.test:9000'], ...http }, 'http://api.good.test/', false],
  [{ hosts: ['http://prom.test:9090/prefix'] }, 'http://prom.test:9090/api', true],
  [{ hosts: ['http://prom.test:9090'] }, 'https://prom.test:9090/api', false],
  [{ hosts: ['http://prom.test:9090'] }, 'http://prom.test/api', false],
  [{ hosts: ['http://prom.test:9090', 'api.good.test'] }, 'https://api.good.test/', true],
  [{ hosts: ['http://prom.test:9090', 'api.good.test'] }, 'http://api.good.test/', false],
  [{ hosts: ['api.good.test'], addresses: ['instances'] }, 'http://api.good.test/', false],
  [{ hosts: ['10.0.0.9'], ...http }, 'http://10.0.0.9/', true],
  [{ hosts: ['127.0.0.1'], ...http }, 'http://0x7f.1/', true],
  [{ hosts: ['::1'], ...http }, 'http://[::1]/', true],
  [{ ...exact, paths: ['/api/v1/**'] }, 'https://api.good.test/api/v1/query', true],
  [{ ...exact, paths: ['/api/v1/**'] }, 'https://api.good.test/api/v1/../v2/x', false],
  [{ ...exact, paths: ['/api/v1/**'] }, 'https://api.good.test/api/v1/%2e%2e/v2', false],
  [{ ...exact, paths: ['/api/v1/**'] }, 'https://api.good.test/api/v1/..%2fv2', false],
  [{ ...exact, paths: ['/api/v1/**'] }, 'https://api.good.test/api/v1/a%5cb', false],
  [{ ...exact, paths: ['/api/v1/**'] }, 'https://api.good.test/x/api/v1/', false],
  [{ ...exact, paths: ['/q/*'] }, 'https://api.good.test/q/depth', true],
  [{ ...exact, paths: ['/q/*'] }, 'https://api.good.test/q/a/b', false],
  [{ ...exact, paths: ['/q/'] }, 'https://api.good.test/q/a/b', true],
  [{ ...exact, paths: ['/q'] }, 'https://api.good.test/q/a', false],
  [{ ...exact, paths: ['/q'] }, 'https://api.good.test/q?x=/y', true],
  [{ ...exact, paths: ['/a.b'] }, 'https://api.good.test/aXb', false],
  [{ addresses: ['instances'] }, 'http://10.0.0.5:3000/healthz', true],
  [{ addresses: ['instances'] }, 'http://10.0.0.5:3001/healthz', false],
  [{ addresses: ['instances'] }, 'http://10.0.0.6:3000/healthz', false],
  [{ addresses: ['instances'] }, 'http://127.1:4000/', true],
  [{ addresses: ['instances'] }, 'http://[fd12::5]:5000/', true],
  [{ addresses: ['instances'] }, 'http://localhost:4000/', false],
]
for (const [grant, url, isAllowed] of urls) {
  test(`C28: ${JSON.stringify(grant)} ${isAllowed ? 'allows' : 'refuses'} ${url.slice(0, 60)}`, () =>
    assert.equal(decide(grant, url), isAllowed))
}

test('C28: methods are granted one by one; without any, only reading is', () => {
  assert.deepEqual(
    ['GET', 'HEAD', 'POST', 'DELETE', 'CONNECT'].map((method) => decide(exact, 'https://api.good.test/', method)),
    [true, true, false, false, false],
  )
  assert.equal(decide({ ...exact, methods: ['POST'] }, 'https://api.good.test/', 'POST'), true)
  assert.equal(decide({ ...exact, methods: ['POST'] }, 'https://api.good.test/', 'GET'), false)
})

const badGrants: [Partial<GrantOf<'net'>>, RegExp][] = [
  [{}, /hosts: is missing/],
  [{ hosts: ['*'] }, /star elsewhere/],
  [{ hosts: ['*.com'] }, /too wide/],
  [{ hosts: ['a.*.test'] }, /star elsewhere/],
  [{ hosts: ['**.test'] }, /star elsewhere/],
  [{ hosts: ['*.0.0.1'] }, /too wide|no host/],
  [{ hosts: ['good.test/path'] }, /more than a host/],
  [{ hosts: ['user@good.test'] }, /user or password/],
  [{ hosts: ['a b'] }, /no host name/],
  [{ hosts: ['x.test'], methods: ['get'] }, /capitals/],
  [{ hosts: ['x.test'], methods: ['CONNECT'] }, /cannot be granted/],
  [{ hosts: ['x.test'], methods: ['TRACE'] }, /cannot be granted/],
  [{ hosts: ['x.test'], paths: ['api'] }, /no path/],
  [{ hosts: ['x.test'], paths: ['/a/**/b/**'] }, /no path/],
  [{ hosts: ['x.test'], paths: ['/*/*/*/*/*'] }, /no path/],
  [{ hosts: ['x.test'], paths: ['/a/%2e'] }, /no path/],
  [{ hosts: ['x.test'], paths: ['/a/../b'] }, /no path/],
  [{ hosts: ['x.test'], addresses: ['anything'] }, /none of public/],
]
for (const [grant, text] of badGrants) {
  test(`the grant ${JSON.stringify(grant)} is refused`, () => {
    const problems: string[] = []
    readNetRule(grantOf(grant), problems)
    assert.match(problems.join(), text)
  })
}

test('a path is matched fast, however it was built', () => {
  const rule = readNetRule(grantOf({ ...exact, paths: ['/*a*a*a/**'] }), [])
  // Time of the processor, not of the clock: other processes may want it too.
  const before = process.cpuUsage()
  matchTarget(rule, `https://api.good.test/${'a'.repeat(500)}!`, 'GET', endpoints)
  assert.ok(process.cpuUsage(before).user < 500_000)
})
