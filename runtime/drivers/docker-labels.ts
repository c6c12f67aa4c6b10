/** The marks by which a controller finds its containers, volumes and network again: the only truth there is for adoption. Pure. */

export interface Mark {
  readonly ownerId: string
  readonly id: string
  readonly app: string
  readonly version: string
  /** Of the container, the one that takes the traffic. */
  readonly port: number
}

const names = {
  owner: 'orchestry.owner',
  app: 'orchestry.app',
  instance: 'orchestry.instance',
  version: 'orchestry.version',
  port: 'orchestry.port',
} as const

export type Labels = Readonly<Record<string, string>>

export const ownerLabels = (ownerId: string): Labels => ({ [names.owner]: ownerId })
export const volumeLabels = (ownerId: string, app: string): Labels => ({ [names.owner]: ownerId, [names.app]: app })
/** What the engine filters by. */
export const ownerFilter = (ownerId: string): string => `${names.owner}=${ownerId}`
export const isOwnedBy = (labels: Labels | undefined | null, ownerId: string): boolean =>
  labels?.[names.owner] === ownerId

export function labelsOf({ ownerId, id, app, version, port }: Mark): Labels {
  return {
    [names.owner]: ownerId,
    [names.app]: app,
    [names.instance]: id,
    [names.version]: version,
    [names.port]: String(port),
  }
}

/** Undefined for a container that is no replica. */
export function readLabels(labels: Labels | undefined | null): Mark | undefined {
  const read = (name: string) => labels?.[name] ?? ''
  const mark = {
    ownerId: read(names.owner),
    id: read(names.instance),
    app: read(names.app),
    version: read(names.version),
    port: Number(read(names.port)),
  }
  const isWhole = mark.ownerId !== '' && mark.id !== '' && mark.app !== '' && mark.version !== ''
  return isWhole && Number.isInteger(mark.port) && mark.port > 0 && mark.port < 65_536 ? mark : undefined
}
