/** What a guest's `Type` makes is what TypeBox makes, as plain JSON. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as TypeBox from 'typebox'
import { Compile } from 'typebox/compile'
import * as Guest from '../../sdk/guest-type.ts'

type Builders = typeof TypeBox
const person = (T: Builders) =>
  T.Object(
    { name: T.String({ minLength: 1 }), age: T.Optional(T.Integer({ minimum: 0 })) },
    { additionalProperties: false },
  )
const schemas: [string, (T: Builders) => TypeBox.TSchema][] = [
  ['String', (T) => T.String({ format: 'uri', default: 'x' })],
  ['Number', (T) => T.Number({ minimum: 1, default: 50 })],
  ['Boolean', (T) => T.Boolean()],
  ['Null', (T) => T.Null()],
  ['Unknown', (T) => T.Unknown()],
  ['Never', (T) => T.Never()],
  ['Literal', (T) => T.Union([T.Literal('a'), T.Literal(2), T.Literal(true)])],
  ['Enum', (T) => T.Enum(['a', 'b'])],
  ['Array', (T) => T.Array(T.String(), { minItems: 1 })],
  ['Tuple', (T) => T.Tuple([T.String(), T.Integer()])],
  ['Record', (T) => T.Record(T.String(), T.Number())],
  ['Object', person],
  ['Object without required', (T) => T.Object({ a: T.Optional(T.String()) })],
  ['Intersect', (T) => T.Intersect([T.Object({ a: T.String() }), T.Object({ b: T.Number() })])],
  ['Partial', (T) => T.Partial(person(T))],
  ['Required', (T) => T.Required(person(T))],
  ['Pick', (T) => T.Pick(person(T), ['age'])],
  ['Omit', (T) => T.Omit(person(T), ['age'])],
]
const values = [
  {},
  { name: 'a' },
  { name: '' },
  { name: 'a', age: 1 },
  { name: 'a', age: -1 },
  { name: 'a', more: 1 },
  { age: 3 },
  { a: 'x' },
  { a: 1 },
  { a: 'x', b: 2 },
  [],
  ['a'],
  ['a', 1],
  ['a', 1, 2],
  'a',
  'b',
  '',
  0,
  1,
  2,
  1.5,
  true,
  false,
  null,
]

describe('the Type of guests', () => {
  for (const [name, make] of schemas) {
    test(`${name} accepts and refuses exactly what TypeBox's does`, () => {
      const real = Compile(JSON.parse(JSON.stringify(make(TypeBox))) as TypeBox.TSchema)
      const guest = Compile(JSON.parse(JSON.stringify(make(Guest as unknown as Builders))) as TypeBox.TSchema)
      for (const value of values) assert.equal(guest.Check(value), real.Check(value), JSON.stringify(value))
    })
  }

  test('says what has no plain JSON Schema', () => {
    assert.throws(() => Guest.TemplateLiteral(), /Type\.TemplateLiteral makes no plain JSON Schema/)
  })
})
