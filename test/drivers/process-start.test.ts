import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Instance } from '../../runtime/drivers/driver.ts'
import { replicaCommand, replicaServer } from '../support/sample-app.ts'
import { waitFor } from '../support/wait-for.ts'
import { openDriver, request } from './process-harness.ts'

async function getJson(instance: Instance, path: string): Promise<Record<string, unknown>> {
  return waitFor(async () => {
    const response = await fetch(`http://${instance.host}:${instance.port}${path}`)
    return (await response.json()) as Record<string, unknown>
  })
}

describe('process driver: start', () => {
  it('runs a real server that answers on the port it was given', async (t) => {
    const { driver } = await openDriver(t)
    const instance = await driver.start(request('shop-1', replicaCommand))
    const answer = await getJson(instance, '/')
    assert.equal(answer.pid, instance.pid)
    assert.equal(answer.instance, 'shop-1')
    assert.equal(answer.port, instance.port)
  })

  it('gives a replica its own environment and nothing of ours', async (t) => {
    process.env.ORCHESTRY_TOKEN = 'a secret of the controller'
    process.env.SOME_SECRET = 'another'
    t.after(() => {
      delete process.env.ORCHESTRY_TOKEN
      delete process.env.SOME_SECRET
    })
    const { driver, ownerId } = await openDriver(t)
    const env = { GREETING: 'hello $HOME "quoted"\nnewline', PORT: '1', ORCHESTRY_OWNER: 'forged', LANG: 'xx' }
    const envFields = { MY_IP: 'instance.ip', MY_PORT: 'instance.port' } as const
    const instance = await driver.start(request('shop-1', replicaCommand, { env, envFields }))
    const inherited = ['PATH', 'HOME', 'TZ', 'TMPDIR'].filter((name) => process.env[name] !== undefined)
    assert.deepEqual(await getJson(instance, '/env'), {
      ...Object.fromEntries(inherited.map((name) => [name, process.env[name]])),
      GREETING: env.GREETING,
      LANG: 'xx',
      HOST: '127.0.0.1',
      PORT: String(instance.port),
      MY_IP: '127.0.0.1',
      MY_PORT: String(instance.port),
      ORCHESTRY_APP: 'shop',
      ORCHESTRY_INSTANCE: 'shop-1',
      ORCHESTRY_OWNER: ownerId,
      ORCHESTRY_VERSION: 'v1',
    })
  })

  it('lets the app choose its own HOST', async (t) => {
    const { driver } = await openDriver(t)
    const instance = await driver.start(request('shop-1', replicaCommand, { env: { HOST: '0.0.0.0' } }))
    assert.equal((await getJson(instance, '/env')).HOST, '0.0.0.0')
  })

  it('runs in the working directory, finds relative programs there, and passes arguments as they are', async (t) => {
    const { driver, dataDir } = await openDriver(t)
    const workingDir = join(dataDir, 'an app; with "odd" $names')
    await mkdir(workingDir)
    await writeFile(join(workingDir, 'run me.sh'), '#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')
    await chmod(join(workingDir, 'run me.sh'), 0o755)
    await driver.start(request('shop-1', ['./run me.sh', 'a b', '$HOME', '; exit 9', ''], { workingDir }))
    const lines = await waitFor(async () => {
      const found = await driver.logs('shop-1', { lines: 10 })
      return found.length === 5 && found
    })
    assert.deepEqual(
      lines.map(({ line }) => line),
      [workingDir, 'a b', '$HOME', '; exit 9', ''],
    )
  })

  it('gives twenty replicas that start at once twenty ports, and all of them answer', async (t) => {
    const { driver } = await openDriver(t)
    const command = ['sh', '-c', 'echo $PORT; while :; do sleep 1; done']
    const ids = Array.from({ length: 20 }, (_, index) => `shop-${index}`)
    const started = await Promise.all(ids.map((id) => driver.start(request(id, command))))
    assert.equal(new Set(started.map(({ port }) => port)).size, 20)
    const ports = await Promise.all(
      ids.map((id) => waitFor(async () => (await driver.logs(id, { lines: 1 }))[0]?.line)),
    )
    assert.deepEqual(
      ports,
      started.map(({ port }) => String(port)),
    )
  })

  it('reports a replica that ends at once, with its code and its last words', async (t) => {
    const { driver } = await openDriver(t)
    const exits: Instance[] = []
    driver.watch((event) => event.type === 'exited' && exits.push(event.instance))
    const source = 'console.log("starting"); throw new Error("no database")'
    await driver.start(request('shop-1', [process.execPath, '-e', source]))
    const exit = await waitFor(() => exits[0])
    assert.deepEqual(exit.exit, { code: 1, signal: null })
    const lines = await driver.logs('shop-1', { lines: 100 })
    assert.deepEqual(lines[0], { instance: 'shop-1', stream: 'stdout', line: 'starting' })
    assert.ok(lines.some(({ stream, line }) => stream === 'stderr' && line === 'Error: no database'))
  })

  it('reports the signal a replica died of', async (t) => {
    const { driver } = await openDriver(t)
    const exits: Instance[] = []
    driver.watch((event) => event.type === 'exited' && exits.push(event.instance))
    await driver.start(request('shop-1', ['sh', '-c', 'kill -SEGV $$']))
    assert.deepEqual((await waitFor(() => exits[0])).exit, { code: null, signal: 'SIGSEGV' })
  })

  it('survives a listener that throws', async (t) => {
    const { driver } = await openDriver(t)
    const exits: string[] = []
    driver.watch(() => {
      throw new Error('a listener of somebody else')
    })
    driver.watch((event) => event.type === 'exited' && exits.push(event.instance.id))
    await driver.start(request('shop-1', ['true']))
    await waitFor(() => exits.length === 1)
  })
})

describe('process driver: starts that fail', () => {
  const cases: { name: string; command: readonly string[]; workingDir?: string; says: RegExp; id?: string }[] = [
    { name: 'no command', command: [], says: /has no command; a process needs spec\.command/ },
    { name: 'an empty program', command: [''], says: /has no command/ },
    {
      name: 'an unknown program',
      command: ['no-such-program'],
      says: /"no-such-program": no directory of PATH .* has it as a program/,
    },
    { name: 'a missing file', command: ['./missing'], says: /there is no file .*missing; mend spec\.command/ },
    { name: 'a file that is not executable', command: [replicaServer], says: /may not execute .*; make it executable/ },
    { name: 'a directory', command: ['/'], says: /may not execute/ },
    {
      name: 'a missing working directory',
      command: ['true'],
      workingDir: '/no/such',
      says: /\/no\/such does not exist/,
    },
    { name: 'a file as working directory', command: ['true'], workingDir: replicaServer, says: /is not a directory/ },
    { name: 'a NUL in an argument', command: ['echo', 'a\0b'], says: /null bytes/ },
    { name: 'an argument too long', command: ['echo', 'x'.repeat(4_000_000)], says: /longer than the system takes/ },
    { name: 'an id with a path in it', command: ['true'], id: '../../evil', says: /cannot name a folder/ },
  ]
  for (const { name, command, workingDir, says, id = 'shop-1' } of cases) {
    it(`says what is wrong and leaves nothing: ${name}`, async (t) => {
      const { driver, dataDir, pids } = await openDriver(t)
      const more = workingDir === undefined ? {} : { workingDir }
      await assert.rejects(driver.start(request(id, command, more)), (error: Error & { code: string }) => {
        assert.equal(error.code, 'ORC_DRIVER_START_FAILED')
        assert.match(error.message, says)
        assert.match(error.message, /Nothing is left of the attempt\.$/)
        return true
      })
      assert.deepEqual(await driver.list(), [])
      assert.deepEqual(await pids(), [])
      assert.deepEqual(await readdir(join(dataDir, 'processes')).catch(() => []), [])
    })
  }

  it('names the interpreter when that is what is missing', async (t) => {
    const { driver, dataDir } = await openDriver(t)
    const script = join(dataDir, 'script')
    await writeFile(script, '#!/no/such/interpreter\n')
    await chmod(script, 0o755)
    await assert.rejects(driver.start(request('shop-1', [script])), /exists, but the interpreter in its first line/)
  })

  it('fails in words when the disk takes no record', async (t) => {
    const { driver, dataDir } = await openDriver(t)
    await writeFile(join(dataDir, 'processes'), 'a file where a folder should be')
    await assert.rejects(driver.start(request('shop-1', ['true'])), /ENOTDIR|EEXIST/)
  })
})
