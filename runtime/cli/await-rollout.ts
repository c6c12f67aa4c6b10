/** Follows a rollout from the command line: says each new state once, and ends with what became of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RolloutView } from './answers.ts'
import { type Client, pathOfApp } from './client.ts'
import { CliError, exitCodes } from './exit.ts'

/** The server answers earlier when the app is as it should be. */
const lookEverySeconds = 1
/** Between looks at a server that answers at once. */
const pauseMs = 200

/**
 * @param onLine gets the line of the rollout whenever it has changed, and what failed last; seconds that pass change nothing
 * @returns the rollout, done
 * @throws with its own exit code when it was rolled back; when it takes too long
 */
export async function awaitRollout(
  client: Client,
  app: string,
  seconds: number,
  onLine: (line: string) => void,
): Promise<RolloutView> {
  const untilMs = performance.now() + seconds * 1000
  let last = ''
  let lastReason = ''
  for (;;) {
    const query = { wait: lookEverySeconds }
    const view = await client.call<RolloutView>('GET', pathOfApp(app, '/rollout'), { query })
    const line = view.line.replace(/the next attempt in \d+ s$/, 'the next attempt')
    if (line !== last) onLine(line)
    last = line
    if (view.state === 'rolledBack') throw rolledBack(view)
    const reason = view.because?.replaceAll(replicaId(app), '')
    if (reason !== undefined && reason !== lastReason) onLine(`failed: ${view.because}`)
    lastReason = reason ?? lastReason
    if (view.state === 'stopped' || (view.state === 'done' && view.isSettled)) return view
    if (performance.now() >= untilMs) throw notYet(view, seconds)
    await sleep(pauseMs)
  }
}

/** Every attempt has a replica of its own; the same reason is said once. */
const replicaId = (app: string): RegExp => new RegExp(`\\b${app}-[0-9a-f]{8}\\b`, 'g')

export function rolledBack({ app, version, target, because }: RolloutView): CliError {
  const text = `Version ${version} of ${app} was rolled back and version ${target} runs. ${because ?? ''}`.trimEnd()
  return new CliError(exitCodes.rolledBack, text, {
    hint: `apply a mended spec; \`orchestry rollout history ${app}\` shows what was applied, \`orchestry rollout undo ${app}\` goes back to the spec that works`,
  })
}

function notYet({ app, line, because }: RolloutView, seconds: number): CliError {
  const said = because === undefined ? '' : ` Last failure: ${because}`
  const text = `After ${seconds} s the rollout of ${app} is not over; it goes on. ${line}.${said}`
  return new CliError(exitCodes.refused, text, {
    hint: `\`orchestry rollout status ${app} --wait\` goes on waiting`,
  })
}
