/**
 * What a spec may ask for of a container: the schema is the list of what there is, so whatever is not on it is refused, today's ways
 * out of a container and tomorrow's alike.
 */
import * as Type from 'typebox'

const strict = { additionalProperties: false }
const optional = Type.Optional

/**
 * What may be asked for at all: what engines give by default, and three that stay inside the container's own namespaces. The
 * operator's policy says which of them are given; those that reach the machine (SYS_ADMIN, SYS_MODULE, …) it cannot name either.
 */
export const askableCapabilities = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'IPC_LOCK',
  'KILL',
  'MKNOD',
  'NET_ADMIN',
  'NET_BIND_SERVICE',
  'NET_RAW',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
  'SYS_NICE',
] as const

const Volume = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
      description:
        "the name of a volume (not a path of the machine): lower-case letters, digits and hyphens, the app's own",
    }),
    mountPath: Type.String({
      maxLength: 512,
      pattern: '^/[A-Za-z0-9._~@+/-]*$',
      description: 'an absolute path inside the container such as `/var/lib/data`',
    }),
    readOnly: optional(Type.Boolean({ description: 'true or false' })),
  },
  { ...strict, description: 'a volume { name, mountPath, readOnly }' },
)

export const Volumes = Type.Array(Volume, {
  maxItems: 32,
  description: 'named volumes as a list of { name, mountPath } (at most 32)',
})

export const Security = Type.Object(
  {
    runAsUser: optional(
      // A number is rewritten to its text beforehand; both are shown to who reads the schema.
      Type.Unsafe<string | number>({
        type: ['string', 'integer'],
        pattern: '^(0|[1-9][0-9]{0,9})(:(0|[1-9][0-9]{0,9}))?$',
        minimum: 0,
        description: 'a user in numbers such as `1000` or `1000:1000` (names are different numbers in every image)',
      }),
    ),
    readOnlyRootFilesystem: optional(Type.Boolean({ description: 'true (as it is where nothing is said) or false' })),
    capabilities: optional(
      Type.Array(Type.Enum([...askableCapabilities], { description: 'a capability that may be asked for' }), {
        maxItems: askableCapabilities.length,
        description: 'capabilities as a list, such as [NET_BIND_SERVICE]',
      }),
    ),
  },
  { ...strict, description: 'a mapping { runAsUser, readOnlyRootFilesystem, capabilities }' },
)
