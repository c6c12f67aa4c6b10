/** How what a controller makes on an engine is called, so that two controllers on one engine do not meet. Pure. */

/** Enough of a random id that two controllers on one engine differ. */
const ownerPart = (ownerId: string) => ownerId.replace(/[^A-Za-z0-9]/g, '').slice(-12)

/** Instance ids become part of a name, so only such as may stand there. */
export const isNameable = (id: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id)

export const containerName = (ownerId: string, id: string): string => `orchestry-${ownerPart(ownerId)}-${id}`
export const networkName = (ownerId: string): string => `orchestry-${ownerPart(ownerId)}`
/** App names hold no underscore: no app can name the volume of another. */
export const volumeName = (ownerId: string, app: string, volume: string): string =>
  `orchestry_${ownerPart(ownerId)}_${app}_${volume}`
