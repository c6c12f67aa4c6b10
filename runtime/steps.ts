/** Places before and after what changes the world or the store: where a test lets the process die. */
export type AtStep = (step: string) => void

type Method<T> = { [K in keyof T]: T[K] extends (...given: never[]) => Promise<unknown> ? K : never }[keyof T]

/** The same port, with a step on either side of each call of these methods. Without `atStep` it is the port itself. */
export function withSteps<T extends object>(
  port: T,
  atStep: AtStep | undefined,
  /** The name of the step, from what the method is called with. */
  names: { readonly [K in Method<T>]?: (...given: unknown[]) => string },
): T {
  if (atStep === undefined) return port
  const stepped: Record<string, unknown> = {}
  for (const [method, nameOf] of Object.entries(names) as [string, (...given: unknown[]) => string][]) {
    const call = (port as Record<string, (...given: unknown[]) => Promise<unknown>>)[method]
    if (call === undefined) continue
    stepped[method] = async (...given: unknown[]) => {
      const name = nameOf(...given)
      atStep(`before ${name}`)
      const answer = await call(...given)
      atStep(`after ${name}`)
      return answer
    }
  }
  return { ...port, ...stepped }
}
