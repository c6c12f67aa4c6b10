/** The setting `registries`: who may pull images from where, and which secret is the password. */
import * as Type from 'typebox'
import { Value } from 'typebox/value'

const Registries = Type.Record(
  Type.String(),
  Type.Object(
    {
      username: Type.String({ minLength: 1 }),
      /** Name of the secret that is the password or token. */
      secret: Type.String({ minLength: 1 }),
      /** Apps that may use it; absent = all. */
      apps: Type.Optional(Type.Array(Type.String())),
    },
    { additionalProperties: false },
  ),
)
/** By host and port of the registry, as an image's name begins; `docker.io` for those that name none. */
export type Registries = Readonly<Type.Static<typeof Registries>>

/** What the setting must be, to complete a sentence. */
export const registriesForm =
  'a JSON object of registries such as {"registry.example:5000": {"username": "ci", "secret": "REGISTRY_TOKEN", "apps": ["shop"]}}'

/** Undefined for what does not fit. */
export function readRegistries(text: string): Registries | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Value.Check(Registries, value) ? value : undefined
  } catch {
    return undefined
  }
}
