/** Checks the arguments of an operation against a compiled schema. Schemas are ours, so compiling them is safe. */
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { OrchestryError } from '../errors.ts'

/**
 * Returns a reader: the arguments, or ORC_CAPABILITY_ARGUMENT naming the first one that does not fit.
 * `null` stands for an argument that was left out, because JSON has no other word for it.
 */
export function argumentsOf<const T extends Type.TSchema[]>(
  operation: string,
  ...shape: T
): (args: readonly unknown[]) => Type.Static<Type.TTuple<T>> {
  const check = Compile(Type.Tuple(shape))
  return (args) => {
    const padded = shape.map((_, index) => (index < args.length ? args[index] : null))
    if (check.Check(padded)) return padded as Type.Static<Type.TTuple<T>>
    const [error] = check.Errors(padded)
    const place = error?.instancePath === '' ? '' : ` ${error?.instancePath}`
    throw new OrchestryError(
      'ORC_CAPABILITY_ARGUMENT',
      `ctx.${operation}: argument${place} ${error?.message ?? 'does not fit'}`,
    )
  }
}

/** An argument that may be left out. */
export const maybe = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()])
