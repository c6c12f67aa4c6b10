/** Two servers under the same load, in turns, so that whatever else the machine does meets both alike. */
import autocannon from 'autocannon'
import { median } from './samples.ts'

export interface Compared {
  /** Requests per second of ours divided by those of the other: the median over the rounds. */
  readonly ratio: number
  readonly oursPerSecond: number
  readonly otherPerSecond: number
  readonly rounds: number
}

export async function compare(
  urls: { readonly ours: string; readonly other: string },
  { rounds, seconds, connections }: { rounds: number; seconds: number; connections: number },
): Promise<Compared> {
  const perSecond = async (url: string, duration: number) => {
    const result = await autocannon({ url, connections, duration })
    const failed = result.errors + result.timeouts + result.non2xx
    if (failed > 0) throw new Error(`${failed} of ${result.requests.total} requests to ${url} failed`)
    return result.requests.total / result.duration
  }
  for (const url of [urls.ours, urls.other]) await perSecond(url, 1)
  const ours: number[] = []
  const other: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await perSecond(urls.ours, seconds))
    other.push(await perSecond(urls.other, seconds))
  }
  return {
    ratio: median(ours.map((value, round) => value / (other[round] ?? Number.NaN))),
    oursPerSecond: median(ours),
    otherPerSecond: median(other),
    rounds,
  }
}
