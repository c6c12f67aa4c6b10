/**
 * `Type` inside the sandbox. Bundles get this instead of TypeBox: the same names, but only what makes a schema, as plain JSON
 * Schema. The host validates; a guest never has to, and 2 KB instead of 200 are compiled at each activation.
 */
type Options = Record<string, unknown>
type Schema = Record<string, unknown>

/** Marks an optional property; not enumerable, so that it never reaches the JSON. */
const optional = Symbol('optional')
const typed =
  (type: string) =>
  (options: Options = {}) => ({ type, ...options })

const StringSchema = typed('string')
const NumberSchema = typed('number')
export const Integer = typed('integer')
const BooleanSchema = typed('boolean')
const NullSchema = typed('null')
export const Unknown = (options: Options = {}): Schema => ({ ...options })
export const Any = Unknown
export const Literal = (value: unknown, options: Options = {}): Schema => ({
  const: value,
  type: typeof value,
  ...options,
})
const ArraySchema = (items: Schema, options: Options = {}): Schema => ({ type: 'array', items, ...options })
export const Union = (anyOf: Schema[], options: Options = {}): Schema => ({ anyOf, ...options })
export const Intersect = (allOf: Schema[], options: Options = {}): Schema => ({ allOf, ...options })
export const Enum = (values: readonly unknown[], options: Options = {}): Schema => ({ enum: values, ...options })
export const Tuple = (items: Schema[], options: Options = {}): Schema => ({
  type: 'array',
  items,
  additionalItems: false,
  minItems: items.length,
  maxItems: items.length,
  ...options,
})
const RecordSchema = (_key: Schema, value: Schema, options: Options = {}): Schema => ({
  type: 'object',
  additionalProperties: value,
  ...options,
})
export const Optional = (schema: Schema): Schema => {
  const marked = { ...schema }
  Object.defineProperty(marked, optional, { value: true })
  return marked
}
const PartialSchema = (schema: Schema): Schema => {
  const { required: _all, ...rest } = schema
  return rest
}

const isRequired = (schema: Schema): boolean => !(optional in schema)

const ObjectSchema = (properties: Record<string, Schema>, options: Options = {}): Schema => {
  const required = Object.keys(properties).filter((key) => isRequired(properties[key] as Schema))
  return { type: 'object', ...(required.length > 0 ? { required } : {}), properties, ...options }
}

export {
  ArraySchema as Array,
  BooleanSchema as Boolean,
  NullSchema as Null,
  NumberSchema as Number,
  ObjectSchema as Object,
  PartialSchema as Partial,
  RecordSchema as Record,
  StringSchema as String,
}
