import { init, use } from 'echarts/core'
import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components'
import { SVGRenderer } from 'echarts/renderers'

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])

/** A line: for each number of subscribers a value. */
export interface Line {
  readonly name: string
  readonly color: string
  readonly points: readonly (readonly [subscribers: number, value: number])[]
}
export interface Panel {
  readonly title: string
  readonly lines: readonly Line[]
}

const SIZE = { width: 960, height: 400 }
const PANEL = { top: 76, bottom: 52, width: 370 }
const TEXT = '#1f2937'
const left = (i: number): number => 74 + i * 480
const short = (value: number): string =>
  value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(value)

/** Panels beside each other, over the number of subscribers, both axes logarithmic: SVG. */
export const plot = (panels: readonly Panel[]): string => {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...SIZE })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'system-ui, sans-serif', color: TEXT },
    legend: { top: 8, itemGap: 28, data: panels[0]!.lines.map(({ name }) => name), textStyle: { fontSize: 13 } },
    title: panels.map(({ title }, i) => ({
      text: title,
      left: left(i) - 40,
      top: 40,
      textStyle: { fontSize: 14, color: TEXT },
    })),
    grid: panels.map((_, i) => ({ ...PANEL, left: left(i) })),
    xAxis: panels.map((_, gridIndex) => ({
      gridIndex,
      type: 'log',
      name: 'subscribers',
      nameLocation: 'middle',
      nameGap: 28,
      min: 80,
      max: 2_600,
      splitLine: { show: false },
      axisLabel: { customValues: [100, 500, 2_000], formatter: (value: number) => value.toLocaleString('en') },
      axisTick: { customValues: [100, 500, 2_000] },
    })),
    yAxis: panels.map((_, gridIndex) => ({
      gridIndex,
      type: 'log',
      axisLabel: { formatter: short },
    })),
    series: panels.flatMap(({ lines }, i) =>
      lines.map(({ name, color, points }) => ({
        type: 'line' as const,
        name,
        xAxisIndex: i,
        yAxisIndex: i,
        symbol: 'circle',
        symbolSize: 8,
        lineStyle: { width: 2.5 },
        color,
        data: points.map(([x, y]) => [x, y]),
      })),
    ),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return `${svg}\n`
}
