/** A small time chart: the shape of the last minutes; the figures are beside it. */
import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import type { Track } from './history.ts'

const heightPx = 44

interface ChartProps {
  readonly track: Track
  readonly fromMs: number
  readonly toMs: number
  /** For those who cannot see it. */
  readonly label: string
  readonly isStepped?: boolean
  /** Index of the point under the pointer, or undefined when it has left. */
  readonly onPoint: (index: number | undefined) => void
}

export function Chart({ track, fromMs, toMs, label, isStepped = false, onPoint }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot | undefined>(undefined)
  const report = useRef(onPoint)
  report.current = onPoint
  const range = useRef({ min: 0, max: 1 })
  range.current = { min: fromMs / 1000, max: toMs / 1000 }

  useEffect(() => {
    const element = place.current
    if (!element) return
    const made = draw(element, isStepped, {
      range: () => range.current,
      onPoint: (index) => report.current(index),
    })
    plot.current = made
    const fit = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: heightPx }))
    fit.observe(element)
    const theme = window.matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => made.redraw()
    theme.addEventListener('change', redraw)
    return () => {
      theme.removeEventListener('change', redraw)
      fit.disconnect()
      made.destroy()
    }
  }, [isStepped])
  useEffect(() => plot.current?.setData([[...track.seconds], [...track.values]]))
  return <div class="chart" ref={place} role="img" aria-label={label} />
}

interface Ways {
  range(): { min: number; max: number }
  onPoint(index: number | undefined): void
}

function draw(element: HTMLElement, isStepped: boolean, { range, onPoint }: Ways): UPlot {
  const colour = (name: string) => getComputedStyle(element).getPropertyValue(name).trim()
  const options: UPlot.Options = {
    width: element.clientWidth || 100,
    height: heightPx,
    padding: [3, 0, 2, 0],
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    cursor: {
      y: false,
      drag: { setScale: false, x: false, y: false },
      points: { size: 6 },
    },
    scales: {
      x: { time: true, range: () => [range().min, range().max] },
      // From zero, so that a flat line high up does not look like nothing; with a top, so that nothing lies on the floor.
      y: { range: (_plot, _min, max) => [0, Math.max(max || 0, 0.001) * 1.05] },
    },
    series: [
      {},
      {
        stroke: () => colour('--line'),
        fill: () => colour('--fill'),
        width: 1.5,
        points: { show: false },
        ...(isStepped && UPlot.paths.stepped && { paths: UPlot.paths.stepped({ align: 1 }) }),
      },
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)] },
  }
  return new UPlot(options, [[], []], element)
}
