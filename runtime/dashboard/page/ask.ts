/** One question to the API, for what is shown only on demand. Rejects with the words of the answer's problem document. */
export async function ask<T>(path: string): Promise<T> {
  const response = await fetch(path, { headers: { Accept: 'application/json' } })
  const body: unknown = await response.json().catch(() => undefined)
  if (response.ok) return body as T
  const { detail } = (body ?? {}) as { detail?: unknown }
  throw new Error(typeof detail === 'string' ? detail : `The server answered ${response.status}.`)
}
