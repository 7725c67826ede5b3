// Transparent pixels: nobody has seen their colours, but the network would. They get colours that continue the visible ones around, as in
// adain/media/transparency.py.

import { type Area, bands, type Pixels, type Source } from './tiles'

const CELL = 8

/** Means of colours (three planes, weighted by alpha) and of alpha, over squares. */
interface Cells {
  width: number
  height: number
  colors: Float32Array
  weight: Float32Array
}

/** `source` with its hidden pixels filled; itself if it hides none. */
export function filled(source: Source): Source {
  if (source.opaque) return source
  const around = spread(measured(source))
  const read = (area: Area): Pixels => {
    const seen = source.read(area)
    const pixels = { ...seen, data: seen.data.slice() }
    fill(pixels, area, around)
    return pixels
  }
  return { width: source.width, height: source.height, opaque: false, read }
}

function measured(source: Source): Cells {
  const [width, height] = [Math.ceil(source.width / CELL), Math.ceil(source.height / CELL)]
  const cells: Cells = { width, height, colors: new Float32Array(3 * width * height), weight: new Float32Array(width * height) }
  for (const band of bands(source, CELL)) {
    const { data } = source.read(band)
    for (let y = 0, i = 0; y < band.height; y++) {
      const row = Math.floor((band.top + y) / CELL) * width
      for (let x = 0; x < band.width; x++, i += 4) {
        const cell = row + Math.floor(x / CELL)
        const alpha = data[i + 3]
        cells.weight[cell] += alpha
        for (let c = 0; c < 3; c++) cells.colors[c * width * height + cell] += alpha * data[i + c]
      }
    }
  }
  divide(cells)
  // From sums to means: the last cells have fewer pixels.
  for (let cell = 0; cell < cells.weight.length; cell++) {
    const across = Math.min(CELL, source.width - (cell % width) * CELL)
    const down = Math.min(CELL, source.height - Math.floor(cell / width) * CELL)
    cells.weight[cell] /= 255 * across * down
  }
  return cells
}

/** Sums of weighted colours become means. */
function divide({ colors, weight }: Cells): void {
  for (let i = 0; i < colors.length; i++) {
    const total = weight[i % weight.length]
    colors[i] = total > 0 ? colors[i] / total : 0
  }
}

/** Colours in every cell: its own where something is visible, else smooth ones from larger and larger squares. */
function spread(cells: Cells): Cells {
  const { width, height, colors, weight } = cells
  if (Math.max(width, height) === 1 || weight.every(one => one > 0)) return cells
  const coarse = spread(halved(cells))
  const size = width * height
  const all = Float32Array.from(colors, (own, i) => {
    const cell = i % size
    if (weight[cell] > 0) return own
    const x = ((cell % width) + 0.5) * (coarse.width / width) - 0.5
    const y = (Math.floor(cell / width) + 0.5) * (coarse.height / height) - 0.5
    return between(coarse, Math.floor(i / size), x, y)
  })
  return { ...cells, colors: all }
}

function halved({ width, height, colors, weight }: Cells): Cells {
  const half: Cells = { width: Math.ceil(width / 2), height: Math.ceil(height / 2), colors: new Float32Array(0), weight: new Float32Array(0) }
  const size = half.width * half.height
  half.colors = new Float32Array(3 * size)
  half.weight = new Float32Array(size)
  const count = new Float32Array(size)
  for (let i = 0; i < weight.length; i++) {
    const to = Math.floor(Math.floor(i / width) / 2) * half.width + Math.floor((i % width) / 2)
    count[to]++
    half.weight[to] += weight[i]
    for (let c = 0; c < 3; c++) half.colors[c * size + to] += weight[i] * colors[c * weight.length + i]
  }
  divide(half)
  for (let i = 0; i < size; i++) half.weight[i] /= count[i]
  return half
}

/** The colour `c` between four cells. */
function between({ width, height, colors }: Cells, c: number, x: number, y: number): number {
  x = Math.min(Math.max(x, 0), width - 1)
  y = Math.min(Math.max(y, 0), height - 1)
  const [left, top] = [Math.floor(x), Math.floor(y)]
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)]
  const at = (column: number, row: number) => colors[(c * height + row) * width + column]
  const upper = at(left, top) + (x - left) * (at(right, top) - at(left, top))
  const lower = at(left, bottom) + (x - left) * (at(right, bottom) - at(left, bottom))
  return upper + (y - top) * (lower - upper)
}

function fill({ data, width }: Pixels, area: Area, around: Cells): void {
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] > 0) continue
    const x = (area.left + ((i / 4) % width) + 0.5) / CELL - 0.5
    const y = (area.top + Math.floor(i / 4 / width) + 0.5) / CELL - 0.5
    for (let c = 0; c < 3; c++) data[i + c] = between(around, c, x, y)
  }
}
