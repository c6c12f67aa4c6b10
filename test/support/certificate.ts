/** A certificate of our own for one name, which this process then trusts until the test ends. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { hasTool } from './real-tool.ts'
import { tempDir } from './temp-dir.ts'

export const certificateSkip = hasTool('openssl', 'openssl') ? false : 'openssl cannot be installed here'

export async function trustedCertificate(t: TestContext, name: string) {
  const dir = await tempDir(t)
  const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const made = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
      ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-keyout', keyFile, '-out', certFile],
    ],
    { stdio: 'ignore' },
  )
  if (made.status !== 0) throw new Error(`openssl ended with ${made.status}`)
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, readFileSync(certFile, 'utf8')])
  t.after(() => setDefaultCACertificates(before))
  return { keyFile, certFile, key: readFileSync(keyFile), cert: readFileSync(certFile) }
}
