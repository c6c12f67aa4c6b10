/** How much CPU and memory may be asked for. Pure. */
import { type Finding, render } from './explain.ts'
import { cpuMilli, memoryBytes } from './quantity.ts'

/** The document as the rules see it, see `rules.ts`. */
export interface ResourceFacts {
  has(pointer: string): boolean
  isBad(pointer: string): boolean
  number(pointer: string, fallback: number): number
  text(pointer: string): string | undefined
}

const mebibyte = 1024 * 1024
/** An engine refuses less for a container: told here, it does not fail at every start. */
const least = {
  process: { memoryBytes: 4 * mebibyte, memory: '4Mi', cpuMilli: 1, cpu: '1m' },
  container: { memoryBytes: 6 * mebibyte, memory: '6Mi', cpuMilli: 10, cpu: '10m' },
}
const mostCpuMilli = 1_024_000

export function checkResources({ has, isBad, number, text }: ResourceFacts, isProcess: boolean): Finding[] {
  const findings: Finding[] = []
  const minimum = isProcess ? least.process : least.container
  const quantity = (pointer: string): string | number | undefined =>
    isBad(pointer) ? undefined : (text(pointer) ?? (has(pointer) ? number(pointer, Number.NaN) : undefined))
  const cpu = quantity('/spec/resources/cpu')
  const milli = cpu === undefined ? undefined : (cpuMilli(cpu) ?? Number.NaN)
  if (milli !== undefined && !(milli >= minimum.cpuMilli && milli <= mostCpuMilli))
    findings.push({
      pointer: '/spec/resources/cpu',
      message: `expected cores of CPU from \`${minimum.cpu}\` to \`1024\`, such as \`500m\` or \`0.5\`, found ${render(cpu)}`,
    })
  const memory = quantity('/spec/resources/memory')
  const bytes = memory === undefined ? undefined : (memoryBytes(memory) ?? Number.NaN)
  if (bytes !== undefined && !(bytes >= minimum.memoryBytes && bytes <= Number.MAX_SAFE_INTEGER))
    findings.push({
      pointer: '/spec/resources/memory',
      message: `expected memory from \`${minimum.memory}\`, such as \`512Mi\`, \`512M\` or \`1.5Gi\`, found ${render(memory)}${memoryHint(memory)}`,
    })
  return findings
}

/** The classic slips: `512m` is half a byte, and nobody's unit is `MB`. */
function memoryHint(memory: unknown): string {
  const slip = /^(\d+(?:\.\d+)?)(?:(m)|([kKmMgGtT])([iI]?)[bB]?)$/.exec(String(memory))
  if (!slip) return ''
  const [, digits, milli, unit, binary] = slip
  if (milli) return `; did you mean \`${digits}Mi\`? (\`m\` is a thousandth of a byte)`
  const letter = unit?.toUpperCase() === 'K' && !binary ? 'k' : unit?.toUpperCase()
  const meant = `${digits}${letter}${binary ? 'i' : ''}`
  return meant === String(memory) ? '' : `; did you mean \`${meant}\`?`
}
