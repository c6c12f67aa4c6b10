/**
 * `Type` inside the sandbox. Bundles get this instead of TypeBox: the same names, but only what makes a schema, as plain JSON
 * Schema. The host validates; a guest never has to, and 4 KB instead of 200 are compiled at each activation.
 * What has no plain JSON Schema says so when it is called.
 */
type Options = { [key: string]: unknown }
type Schema = { [key: string]: unknown }
type Properties = { [key: string]: Schema }

/** Marks an optional property; not enumerable, so that it never reaches the JSON. */
const optional = Symbol('optional')
const typed =
  (type: string) =>
  (options: Options = {}): Schema => ({ type, ...options })

export const Integer = typed('integer')
const StringSchema = typed('string')
const NumberSchema = typed('number')
const BooleanSchema = typed('boolean')
const NullSchema = typed('null')
export const Unknown = (options: Options = {}): Schema => ({ ...options })
export const Any = Unknown
export const Never = (options: Options = {}): Schema => ({ not: {}, ...options })
export const Unsafe = Unknown
export const Literal = (value: unknown, options: Options = {}): Schema => ({
  type: typeof value,
  const: value,
  ...options,
})
const ArraySchema = (items: Schema, options: Options = {}): Schema => ({ type: 'array', items, ...options })
export const Union = (anyOf: Schema[], options: Options = {}): Schema => ({ anyOf, ...options })
export const Intersect = (allOf: Schema[], options: Options = {}): Schema => ({ allOf, ...options })
export const Enum = (values: readonly unknown[], options: Options = {}): Schema => ({ enum: values, ...options })
export const Tuple = (items: Schema[], options: Options = {}): Schema => ({
  type: 'array',
  additionalItems: false,
  items,
  minItems: items.length,
  ...options,
})

const RecordSchema = (_key: Schema, value: Schema, options: Options = {}): Schema => ({
  type: 'object',
  patternProperties: { '^.*$': value },
  ...options,
})

export const Optional = (schema: Schema): Schema => {
  const marked = { ...schema }
  Object.defineProperty(marked, optional, { value: true })
  return marked
}
export const Readonly = (schema: Schema): Schema => schema

const ObjectSchema = (properties: Properties, options: Options = {}): Schema => {
  const required = Object.keys(properties).filter((key) => !(optional in (properties[key] as Schema)))
  return { type: 'object', ...(required.length > 0 ? { required } : {}), properties, ...options }
}

const propertiesOf = (schema: Schema): Properties => (schema.properties ?? {}) as Properties
/** As in TypeBox, an object made from another keeps its properties, not its options. */
const object = (properties: Properties, required: readonly string[]): Schema => ({
  type: 'object',
  ...(required.length > 0 ? { required } : {}),
  properties,
})
const PartialSchema = (schema: Schema): Schema => object(propertiesOf(schema), [])
export const Required = (schema: Schema): Schema => object(propertiesOf(schema), Object.keys(propertiesOf(schema)))
const only = (schema: Schema, isKept: (key: string) => boolean): Schema =>
  object(
    Object.fromEntries(Object.entries(propertiesOf(schema)).filter(([key]) => isKept(key))),
    ((schema.required ?? []) as string[]).filter(isKept),
  )
const PickSchema = (schema: Schema, keys: readonly string[]): Schema => only(schema, (key) => keys.includes(key))
const OmitSchema = (schema: Schema, keys: readonly string[]): Schema => only(schema, (key) => !keys.includes(key))

const unavailable = (name: string) => (): never => {
  throw new TypeError(
    `Type.${name} makes no plain JSON Schema; a plugin's config is checked by the host as JSON Schema`,
  )
}
export const Codec = unavailable('Codec')
export const Cyclic = unavailable('Cyclic')
export const Refine = unavailable('Refine')
export const Ref = unavailable('Ref')
export const Module = unavailable('Module')
export const Script = unavailable('Script')
export const TemplateLiteral = unavailable('TemplateLiteral')
export const Undefined = unavailable('Undefined')
export const Void = unavailable('Void')

export {
  ArraySchema as Array,
  BooleanSchema as Boolean,
  NullSchema as Null,
  NumberSchema as Number,
  ObjectSchema as Object,
  OmitSchema as Omit,
  PartialSchema as Partial,
  PickSchema as Pick,
  RecordSchema as Record,
  StringSchema as String,
}
