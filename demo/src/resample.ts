// Pictures made smaller, as the library does it: bicubic, with a kernel as wide as the pixels that go into one; alpha by a triangle.

import { bands, type Pixels, type Source } from './tiles'

type Kernel = (x: number) => number

const cubic: Kernel = x => {
  const t = Math.abs(x)
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0
}

const triangle: Kernel = x => Math.max(0, 1 - Math.abs(x))

/** (width, height) of a picture whose longer (shorter) side is `side` pixels, or that picture's own if it is smaller. */
export function fitted({ width, height }: { width: number; height: number }, side: number, of: 'long' | 'short' = 'long') {
  const scale = Math.min(1, side / (of === 'long' ? Math.max(width, height) : Math.min(width, height)))
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) }
}

export function resample(source: Source, width: number, height: number): Pixels {
  if (width === source.width && height === source.height) return source.read({ top: 0, left: 0, width, height })
  const colorsAcross = taps(source.width, width, 2, cubic)
  const alphaAcross = taps(source.width, width, 1, triangle)
  const colorsDown = spread(taps(source.height, height, 2, cubic), source.height)
  const alphaDown = spread(taps(source.height, height, 1, triangle), source.height)
  const sums = new Float32Array(4 * width * height)
  const row = new Float32Array(4 * width)
  for (const band of bands(source)) {
    const { data } = source.read(band)
    for (let y = 0; y < band.height; y++) {
      const start = 4 * y * band.width
      shrinkRow(data, start, colorsAcross, row)
      if (!source.opaque) shrinkAlpha(data, start, alphaAcross, row)
      for (const [target, weight] of colorsDown[band.top + y]) {
        for (let x = 0, to = 4 * target * width; x < row.length; x += 4, to += 4) {
          sums[to] += weight * row[x]
          sums[to + 1] += weight * row[x + 1]
          sums[to + 2] += weight * row[x + 2]
        }
      }
      if (source.opaque) continue
      for (const [target, weight] of alphaDown[band.top + y]) {
        for (let x = 3, to = 4 * target * width + 3; x < row.length; x += 4, to += 4) sums[to] += weight * row[x]
      }
    }
  }
  if (source.opaque) for (let i = 3; i < sums.length; i += 4) sums[i] = 255
  return { width, height, data: Uint8ClampedArray.from(sums) }
}

interface Tap {
  start: number
  weights: Float32Array
}

/** For each of `to` pixels, which of `from` pixels go into it, and how much. */
function taps(from: number, to: number, reach: number, kernel: Kernel): Tap[] {
  const scale = from / to
  const support = reach * Math.max(scale, 1)
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale
    const start = Math.max(0, Math.floor(centre - support + 0.5))
    const end = Math.min(from, Math.floor(centre + support + 0.5))
    const raw = Array.from({ length: end - start }, (_, k) => kernel((start + k - centre + 0.5) / Math.max(scale, 1)))
    const total = raw.reduce((sum, weight) => sum + weight, 0)
    return { start, weights: Float32Array.from(raw, weight => weight / total) }
  })
}

/** The same the other way round: for each of `from` pixels, into which it goes, and how much. */
function spread(found: readonly Tap[], from: number): [target: number, weight: number][][] {
  const targets: [number, number][][] = Array.from({ length: from }, () => [])
  found.forEach(({ start, weights }, target) => weights.forEach((weight, k) => targets[start + k].push([target, weight])))
  return targets
}

function shrinkRow(data: Uint8ClampedArray, first: number, across: readonly Tap[], row: Float32Array): void {
  across.forEach(({ start, weights }, x) => {
    let r = 0, g = 0, b = 0
    for (let k = 0, i = first + 4 * start; k < weights.length; k++, i += 4) {
      const weight = weights[k]
      r += weight * data[i]
      g += weight * data[i + 1]
      b += weight * data[i + 2]
    }
    row[4 * x] = r
    row[4 * x + 1] = g
    row[4 * x + 2] = b
  })
}

function shrinkAlpha(data: Uint8ClampedArray, first: number, across: readonly Tap[], row: Float32Array): void {
  across.forEach(({ start, weights }, x) => {
    row[4 * x + 3] = weights.reduce((sum, weight, k) => sum + weight * data[first + 4 * (start + k) + 3], 0)
  })
}
