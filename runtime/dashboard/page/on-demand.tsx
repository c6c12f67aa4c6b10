/** What is loaded only when somebody opens it. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { ask } from './ask.ts'

interface OnDemandProps<T> {
  readonly summary: ComponentChildren
  readonly class?: string
  readonly path: string
  /** While open, another key is another question; the old answer is shown until the new one is there. */
  readonly freshness?: string | number
  readonly children: (answer: T) => ComponentChildren
}

export function OnDemand<T>({ summary, path, freshness, children, class: name = '' }: OnDemandProps<T>) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details class={name} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{summary}</summary>
      {isOpen && (
        <div class="opened">
          <Answer path={path} freshness={freshness} show={children} />
        </div>
      )}
    </details>
  )
}

interface AnswerProps<T> {
  readonly path: string
  readonly freshness: string | number | undefined
  readonly show: (answer: T) => ComponentChildren
}

function Answer<T>({ path, freshness, show }: AnswerProps<T>) {
  const [answer, setAnswer] = useState<{ value: T } | undefined>()
  const [problem, setProblem] = useState<string | undefined>()
  // `freshness` is no input: it says when to ask again.
  useEffect(() => {
    let isWanted = true
    ask<T>(path).then(
      (value) => {
        if (!isWanted) return
        setAnswer({ value })
        setProblem(undefined)
      },
      (thrown: unknown) => {
        if (isWanted) setProblem(thrown instanceof Error ? thrown.message : String(thrown))
      },
    )
    return () => {
      isWanted = false
    }
  }, [path, freshness])
  return (
    <>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {answer ? show(answer.value) : problem === undefined && <p class="faint">…</p>}
    </>
  )
}
