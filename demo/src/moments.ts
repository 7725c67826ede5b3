// Means and variances of colours and features: all that AdaIN knows about a picture.
//
// For values x with weights w (the alpha of a pixel; 1 where all is opaque), of which there are W = Σw,
//
//     μ = Σ w x / W                 the mean
//     σ² = Σ w (x − μ)² / W         the variance; of colours Σ w (x − μ)(x − μ)ᵀ / W, the covariance
//
// and for parts i of a picture, such as its tiles (Chan, Golub and LeVeque 1983),
//
//     W = Σ Wᵢ,   μ = Σ Wᵢ μᵢ / W,   σ² = Σ Wᵢ (σᵢ² + (μᵢ − μ)²) / W
//
// so that the moments of a picture in tiles are those of the picture in one piece.

import { type Area, type Pixels } from './tiles'

export interface Moments {
  /** One for each channel. */
  mean: Float64Array
  /** One for each channel; of colours the 3 × 3 covariance. */
  variance: Float64Array
  weight: number
}

/** The moments of colours in 0..1. The sums of bytes are whole numbers, which are exact as long as they are below 2⁵³. */
export function colorMoments({ data }: Pixels): Moments {
  const sums = new Float64Array(3)
  const products = new Float64Array(9)
  let weight = 0
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3]
    const r = data[i], g = data[i + 1], b = data[i + 2]
    weight += alpha
    sums[0] += alpha * r
    sums[1] += alpha * g
    sums[2] += alpha * b
    products[0] += alpha * r * r
    products[1] += alpha * r * g
    products[2] += alpha * r * b
    products[4] += alpha * g * g
    products[5] += alpha * g * b
    products[8] += alpha * b * b
  }
  const total = Math.max(weight, 1)
  const mean = sums.map(sum => sum / total / 255)
  const variance = new Float64Array(9)
  for (let row = 0; row < 3; row++) {
    for (let column = row; column < 3; column++) {
      const product = products[3 * row + column] / total / 255 ** 2 - mean[row] * mean[column]
      variance[3 * row + column] = variance[3 * column + row] = product
    }
  }
  return { mean, variance, weight: weight / 255 }
}

/**
 * The moments of each channel of a feature map [channels, height, width] over a `part` of its cells.
 *
 * `weights` has one number for each cell of the part; without them every cell counts 1.
 */
export function channelMoments(map: Float32Array, dims: readonly number[], part: Area, weights: Float64Array | null): Moments {
  const [channels, height, width] = dims.slice(-3)
  const mean = new Float64Array(channels)
  const variance = new Float64Array(channels)
  const weight = weights ? weights.reduce((sum, one) => sum + one, 0) : part.width * part.height
  for (let channel = 0; channel < channels; channel++) {
    const first = (channel * height + part.top) * width + part.left
    const shift = map[first] // sums of what is left beside some value of the map lose no digits to what all have in common
    let sum = 0
    let squares = 0
    for (let y = 0; y < part.height; y++) {
      const start = first + y * width
      for (let x = 0; x < part.width; x++) {
        const value = map[start + x] - shift
        const counted = weights ? weights[y * part.width + x] * value : value
        sum += counted
        squares += counted * value
      }
    }
    const own = sum / Math.max(weight, Number.MIN_VALUE)
    mean[channel] = own + shift
    variance[channel] = Math.max(0, squares / Math.max(weight, Number.MIN_VALUE) - own * own)
  }
  return { mean, variance, weight }
}

/** The moments of all parts together. */
export function merge(parts: readonly Moments[]): Moments {
  const weight = parts.reduce((sum, part) => sum + part.weight, 0)
  const mean = new Float64Array(parts[0].mean.length)
  const variance = new Float64Array(parts[0].variance.length)
  const full = variance.length > mean.length // a covariance
  for (const part of parts) part.mean.forEach((value, i) => (mean[i] += (part.weight / Math.max(weight, Number.MIN_VALUE)) * value))
  for (const part of parts) {
    const share = part.weight / Math.max(weight, Number.MIN_VALUE)
    for (let i = 0; i < variance.length; i++) {
      const row = full ? Math.floor(i / 3) : i
      const column = full ? i % 3 : i
      variance[i] += share * (part.variance[i] + (part.mean[row] - mean[row]) * (part.mean[column] - mean[column]))
    }
  }
  return { mean, variance, weight }
}

/** How much each cell of `stride` pixels counts: the mean alpha of its pixels, of those that are there. */
export function cellWeights({ width, height, data }: Pixels, stride: number): Float64Array {
  const columns = Math.ceil(width / stride)
  const rows = Math.ceil(height / stride)
  const weights = new Float64Array(rows * columns)
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / stride) * columns
    for (let x = 0; x < width; x++) weights[row + Math.floor(x / stride)] += data[4 * (y * width + x) + 3] / 255
  }
  return weights.map((sum, i) => {
    const across = Math.min(stride, width - (i % columns) * stride)
    const down = Math.min(stride, height - Math.floor(i / columns) * stride)
    return sum / (across * down)
  })
}
