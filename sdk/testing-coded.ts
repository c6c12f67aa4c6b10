/** An error as the host hands it to a plugin: with its code. */
export function coded(code: string, message: string): Error & { code: string } {
  return Object.assign(new Error(message), { code })
}
