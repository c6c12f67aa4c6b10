/** One request from a client to an endpoint and the answer back; streaming both ways at the pace of the slower side. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import { hasBody, requestBody } from './body.ts'
import { type Failure, failureOf, mayRetry } from './failure.ts'
import { requestHeaders, responseHeaders } from './headers.ts'
import { sendProblem } from './problem.ts'
import type { Rotation, RoutedApp, Target } from './rotation.ts'

const maxAttempts = 4
const retryAfterSeconds = '1'

/** A request that has found its app, through all attempts to get it answered. */
export interface Exchange {
  readonly app: RoutedApp
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  readonly prefix: string
  readonly host: string
  readonly startedAtMs: number
  /** Where an upgraded connection ends; absent = an ordinary request. */
  readonly onUpgrade?: Dispatcher.DispatchHandler['onRequestUpgrade']
  readonly tried: Set<Target>
  attempts: number
  isBodyTouched: boolean
  isClientGone: boolean
  abort?: (reason: Error) => void
}

export interface Forward {
  send(exchange: Exchange): void
}

export function createForward(deps: { rotation: Rotation; clock: Pick<Clock, 'monotonic'> }): Forward {
  const { rotation, clock } = deps

  const answered = (exchange: Exchange, status: number) => {
    const nowMs = clock.monotonic()
    exchange.app.traffic.answered(nowMs, nowMs - exchange.startedAtMs, status)
  }

  /** Sends to the best endpoint; the failure is that of the attempt before. */
  const attempt = (exchange: Exchange, failure?: Failure): void => {
    const target =
      rotation.pick(exchange.app, exchange.tried) ??
      // All were tried. One whose old connection died may well answer on a new one.
      (failure?.kind === 'died' ? rotation.pick(exchange.app, new Set()) : undefined)
    if (target === undefined) {
      giveUp(exchange, failure)
      return
    }
    exchange.attempts += 1
    exchange.tried.add(target)
    rotation.begin(target)
    let isEnded = false
    const end = () => {
      if (!isEnded) rotation.end(target)
      isEnded = true
    }
    target.pool.dispatch(
      dispatchOptions(exchange),
      handlerOf(exchange, {
        onAnswer: (status) => {
          rotation.answered(target)
          answered(exchange, status)
        },
        onCut: () => rotation.failed(target),
        onEnd: end,
        onFailure: (next) => {
          end()
          if (exchange.isClientGone) return
          if (next.kind !== 'invalid') rotation.failed(target)
          if (next.kind === 'refused' || next.kind === 'connectTimeout') rotation.refused(target)
          const isWorthwhile = exchange.attempts < maxAttempts && mayRetry(next, exchange)
          if (isWorthwhile) attempt(exchange, next)
          else giveUp(exchange, next)
        },
      }),
    )
  }

  const giveUp = (exchange: Exchange, failure: Failure | undefined) => {
    const { response, app, request } = exchange
    // The rest of a body that nobody reads would be taken for the next request.
    const close = hasBody(request) && !request.complete ? { connection: 'close' } : {}
    const retry = { 'retry-after': retryAfterSeconds, ...close }
    if (failure === undefined)
      sendProblem(response, 'ORC_DATAPLANE_NO_ENDPOINT', `No replica of ${app.name} takes requests right now.`, retry)
    else sendProblem(response, failure.code, failure.detail(app.name, exchange.attempts), close)
    if (response.statusCode >= 500) answered(exchange, response.statusCode)
  }

  return { send: (exchange) => attempt(exchange) }
}

function dispatchOptions(exchange: Exchange): Dispatcher.DispatchOptions {
  const { request, host, prefix } = exchange
  return {
    path: exchange.path,
    method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
    headers: requestHeaders(request.rawHeaders, {
      host,
      prefix,
      remoteAddress: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
      protocol: 'http',
    }),
    body: requestBody(exchange),
    ...(exchange.onUpgrade ? { upgrade: 'websocket' } : {}),
  }
}

interface Outcome {
  onAnswer(status: number): void
  /** The endpoint ended the connection in the middle of its answer. */
  onCut(): void
  onEnd(): void
  onFailure(failure: Failure): void
}

function handlerOf(exchange: Exchange, outcome: Outcome): Dispatcher.DispatchHandler {
  const { response, onUpgrade } = exchange
  let isSent = false
  let isAnswered = false
  let isFlushed = false
  return {
    onRequestStart(controller) {
      isSent = true
      exchange.abort = (reason) => controller.abort(reason)
      if (exchange.isClientGone) controller.abort(new Error('the client has gone'))
    },
    onResponseStart(controller, status, headers, statusText) {
      if (status < 200) {
        if (status === 103 && headers.link !== undefined) response.writeEarlyHints({ link: headers.link })
        return
      }
      const raw = (controller.rawHeaders ?? []) as (Buffer | string)[]
      response.writeHead(status, statusText, responseHeaders(raw, exchange))
      isAnswered = true
      outcome.onAnswer(status)
      response.on('drain', () => controller.resume())
      // Together with the body where that came with them, else now: an event stream may be silent for long.
      setImmediate(() => {
        if (!isFlushed && !response.destroyed) response.flushHeaders()
      })
    },
    onResponseData(controller, chunk) {
      isFlushed = true
      if (!response.write(chunk)) controller.pause()
    },
    onResponseEnd() {
      isFlushed = true
      outcome.onEnd()
      response.end()
    },
    onResponseError(_controller, error) {
      if (!isAnswered) return outcome.onFailure(failureOf(error, isSent))
      if (!exchange.isClientGone) outcome.onCut()
      outcome.onEnd()
      // The client has a part of the answer: only a cut connection tells it that the rest is missing.
      response.destroy()
    },
    ...(onUpgrade
      ? {
          onRequestUpgrade(controller, status, headers, socket) {
            outcome.onAnswer(status)
            socket.once('close', () => outcome.onEnd())
            onUpgrade(controller, status, headers, socket)
          },
        }
      : {}),
  }
}
