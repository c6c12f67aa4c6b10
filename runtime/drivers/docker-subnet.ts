/** Addresses of an IPv4 range. Pure. */

/**
 * One of the upper half of the range, because the engine gives out from below; undefined when there is none.
 *
 * @param range such as 172.18.0.0/16
 * @param chance in [0, 1)
 */
export function freeAddress(range: string, used: readonly string[], chance: () => number): string | undefined {
  const [base = '', bits = ''] = range.split('/')
  const size = 2 ** (32 - Number(bits))
  const first = numberOf(base)
  if (first === undefined || !/^\d+$/.test(bits) || size < 4) return undefined
  const taken = new Set(used)
  // Neither the network's own address nor the last one, which means everybody.
  const half = size / 2
  const count = half - 1
  const start = Math.floor(chance() * count)
  for (let step = 0; step < Math.min(count, taken.size + 1); step++) {
    const address = textOf(first + half + ((start + step) % count))
    if (!taken.has(address)) return address
  }
  return undefined
}

function numberOf(address: string): number | undefined {
  const parts = address.split('.').map(Number)
  const isValid = parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256)
  return isValid ? parts.reduce((sum, part) => sum * 256 + part, 0) : undefined
}

const textOf = (address: number) => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
