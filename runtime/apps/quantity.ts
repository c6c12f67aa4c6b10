/** Kubernetes quantities: `500m`, `0.5`, `512Mi`, `512M`, `1.5Gi`, `1e3`. Pure. */

const grammar = /^([+-]?)(\d+\.?\d*|\.\d+)(?:(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d{1,3}))?$/

/** Each unit as a power of ten (milli up to exa) or of two (kibi up to exbi). */
const units: Readonly<Record<string, readonly [base: number, exponent: number]>> = {
  m: [10, -3],
  k: [10, 3],
  M: [10, 6],
  G: [10, 9],
  T: [10, 12],
  P: [10, 15],
  E: [10, 18],
  Ki: [2, 10],
  Mi: [2, 20],
  Gi: [2, 30],
  Ti: [2, 40],
  Pi: [2, 50],
  Ei: [2, 60],
}

/** The amount that a quantity stands for, or undefined when it is none (no number, unknown unit, too large for a double). */
export function parseQuantity(given: string | number): number | undefined {
  const match = grammar.exec(String(given))
  if (!match) return undefined
  const [, sign, digits, unit, exponent] = match
  // One parse of the decimal text instead of a multiplication, so that 0.1m is as exact as a double can say it.
  const [base, power] = unit === undefined ? [10, Number(exponent ?? 0)] : (units[unit] ?? [10, 0])
  const amount = base === 10 ? Number(`${digits}e${power}`) : Number(digits) * 2 ** power
  if (!Number.isFinite(amount)) return undefined
  return sign === '-' ? -amount : amount
}

/** CPU in thousandths of a core, rounded up as Kubernetes does: what is asked for is never less than what was written. */
export function cpuMilli(given: string | number): number | undefined {
  const cores = parseQuantity(given)
  // The product may miss a whole number by one bit: 0.29 cores are 290 milli, not 291.
  return cores === undefined ? undefined : Math.ceil(Number((cores * 1000).toPrecision(12)))
}

/** Memory in whole bytes, rounded up. */
export function memoryBytes(given: string | number): number | undefined {
  const bytes = parseQuantity(given)
  return bytes === undefined ? undefined : Math.ceil(Number(bytes.toPrecision(15)))
}
