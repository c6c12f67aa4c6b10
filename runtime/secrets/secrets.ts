/** The port of secrets: values that operators give by name, that plugins and apps use, and that nothing ever shows again. */

export interface SecretView {
  readonly name: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface Secrets {
  /** By name; never a value. */
  list(): SecretView[]
  /** Resolves when it is on disk, encrypted. Throws ORC_SECRET_INVALID, ORC_SECRET_KEY_UNUSABLE. */
  put(name: string, value: string): Promise<SecretView>
  /** Throws ORC_SECRET_UNKNOWN. */
  remove(name: string): Promise<void>
  /** The value itself: for what is sent in somebody's name, never for what is shown. Undefined where none can be had. */
  value(name: string): string | undefined
  /**
   * The text with every known secret value (also base64- or URL-encoded, or escaped for JSON) replaced by `***`. For what
   * Orchestry and its plugins write; what an app prints of the secrets it was given is the app's own and stays as it is. A
   * value that was taken apart first (split over two lines, reversed) is not found.
   */
  redact(text: string): string
  /** JSON data with every text in it, names of fields too, redacted; the very same object where nothing was to be hidden. */
  redactData<T>(data: T): T
  /** Why stored values cannot be read, for people; undefined while they can. */
  problem(): string | undefined
}
