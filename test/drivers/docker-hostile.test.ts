/** An engine that answers what no engine answers, and images that name what there is not; over a real connection. */
import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import { createDockerDriver } from '../../runtime/drivers/docker.ts'
import { createLog } from '../../runtime/log.ts'
import { waitFor } from '../support/wait-for.ts'

type Answer = (response: ServerResponse, url: URL) => void
const json =
  (value: unknown, status = 200): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(value))
  }

const labels = {
  'orchestry.owner': 'me',
  'orchestry.app': 'shop',
  'orchestry.instance': 'shop-1',
  'orchestry.version': 'v1',
  'orchestry.port': '80',
}
const details = {
  Id: 'c1',
  Image: 'sha256:x',
  State: { Status: 'running', Running: true, ExitCode: 0, StartedAt: '2026-01-01T00:00:00Z' },
  Config: { Labels: labels, StopSignal: 'SIGNONE' },
  HostConfig: {},
  NetworkSettings: { Networks: { net: { IPAddress: '127.0.0.1' } } },
}

/** A driver with one replica; `answers` are what the engine says from then on. */
async function open(t: TestContext) {
  const answers = new Map<string, Answer>()
  const asked: string[] = []
  let events: ServerResponse | undefined
  const usual = new Map<string, Answer>([
    ['/version', json({ ApiVersion: '1.47' })],
    ['/containers/json', json([{ Id: 'c1', State: 'running', Labels: labels }])],
    ['/containers/c1/json', json(details)],
    [
      '/events',
      (response) => {
        response.writeHead(200).flushHeaders()
        events = response
      },
    ],
  ])
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://engine')
    const path = url.pathname.replace(/^\/v[\d.]+/, '')
    asked.push(`${request.method} ${path}${url.searchParams.get('signal') ?? ''}`)
    const answer = answers.get(path) ?? usual.get(path) ?? json({})
    answer(response, url)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const log = createLog({ level: 'silent' })
  const driver = createDockerDriver({ host: `tcp://127.0.0.1:${port}`, ownerId: 'me', clock: systemClock, log })
  t.after(async () => {
    await driver.close({ keep: true })
    server.closeAllConnections()
    server.close()
  })
  await driver.list()
  await waitFor(() => events)
  return { driver, answers, asked, tell: (event: object) => events?.write(`${JSON.stringify(event)}\n`) }
}

test('what is no list of containers takes no replica away', async (t) => {
  const { driver, answers } = await open(t)
  for (const value of [null, {}, 'none', [null], [{}], [{ Id: 5 }]]) {
    answers.set('/containers/json', json(value))
    await assert.rejects(driver.list(), { code: 'ORC_DRIVER_UNAVAILABLE', message: /no list of containers/ })
  }
  answers.delete('/containers/json')
  assert.deepEqual(
    (await driver.list()).map(({ id, isRunning }) => [id, isRunning]),
    [['shop-1', true]],
  )
})

test('an end is told although the engine gives no account of it', async (t) => {
  const { driver, answers, tell } = await open(t)
  const ended: string[] = []
  driver.watch((event) => event.type === 'exited' && ended.push(event.instance.id))
  answers.set('/containers/c1/json', json({}))
  tell({ Action: 'die', Actor: { ID: 'c1', Attributes: { exitCode: '1' } } })
  await waitFor(() => ended.length === 1)
})

test('an answer that does not end is given up, and so is a refusal', async (t) => {
  const { driver, answers } = await open(t)
  const part = Buffer.alloc(4 * 1024 * 1024, ' ')
  for (const status of [200, 500]) {
    answers.set('/containers/json', (response) => {
      response.writeHead(status)
      const write = () => {
        while (!response.destroyed && response.write(part));
      }
      response.on('drain', write)
      write()
    })
    await assert.rejects(driver.list(), { code: 'ORC_DRIVER_UNAVAILABLE', message: /more than 64 MB/ })
  }
})

test('an image whose stop signal there is not does not keep its replica from ending', async (t) => {
  const { driver, answers, asked } = await open(t)
  answers.set('/containers/c1/kill', (response, url) =>
    url.searchParams.get('signal') === 'SIGTERM'
      ? response.writeHead(204).end()
      : json({ message: 'invalid' }, 400)(response, url),
  )
  answers.set('/containers/c1/wait', json({ StatusCode: 143 }))
  await driver.stop('shop-1', { graceSeconds: 5 })
  assert.deepEqual(
    asked.filter((one) => one.includes('/kill')),
    ['POST /containers/c1/killSIGNONE', 'POST /containers/c1/killSIGTERM'],
  )
  assert.ok(asked.includes('DELETE /containers/c1'))
})

test('an engine that does not filter has no container of another owner removed', async (t) => {
  const { driver, answers, asked } = await open(t)
  const Labels = { ...labels, 'orchestry.owner': 'you' }
  answers.set('/containers/json', json([{ Id: 'other', State: 'created', Labels }]))
  await driver.list()
  assert.ok(!asked.some((one) => one.includes('other')))
})
