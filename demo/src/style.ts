// A style as the graphs take it: of the colours, then of each level of features, the mean and the deviations (docs/export.md).

import { type Moments } from './moments'

export type Style = Float32Array<ArrayBuffer>

// Added to variances before the square root, as in adain/moments.py.
const CHANNEL_EPS = 1e-5
const COLOR_EPS = 1e-4

/** The style of a picture of these moments: colours first, then one for each level. Deviations of colours are √(covariance), a matrix. */
export function styleOf([colors, ...levels]: readonly Moments[]): Style {
  const covariance = colors.variance.map((value, i) => value + (i % 4 === 0 ? COLOR_EPS : 0))
  const deviations = levels.flatMap(level => [level.mean, level.variance.map(value => Math.sqrt(value + CHANNEL_EPS))])
  return joined([colors.mean, squareRoot(covariance), ...deviations])
}

/** The weighted mean. AdaIN is linear in a style's numbers, so this is the blend of what they paint (equation 15 of the paper). */
export function blend(styles: readonly Style[], weights: readonly number[]): Style {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return styles[0].map((_, i) => styles.reduce((sum, style, which) => sum + (weights[which] / total) * style[i], 0))
}

/** Several small vectors, one behind the other, as the graphs take them. */
export function joined(parts: readonly ArrayLike<number>[]): Style {
  return Float32Array.from(parts.flatMap(part => Array.from(part)))
}

/** The symmetric root of a symmetric 3 × 3 matrix: its eigenvectors by Jacobi's rotations, with the roots of its eigenvalues. */
function squareRoot(matrix: Float64Array): Float64Array {
  const a = Float64Array.from(matrix)
  const vectors = new Float64Array([1, 0, 0, 0, 1, 0, 0, 0, 1])
  for (let sweep = 0; sweep < 12; sweep++) {
    for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) {
      const beside = a[3 * p + q]
      if (!beside) continue
      const ratio = (a[4 * q] - a[4 * p]) / (2 * beside)
      const tangent = (ratio < 0 ? -1 : 1) / (Math.abs(ratio) + Math.hypot(ratio, 1))
      const cosine = 1 / Math.hypot(tangent, 1)
      rotate(a, p, q, cosine, tangent * cosine, 3, 1)
      rotate(a, p, q, cosine, tangent * cosine, 1, 3)
      rotate(vectors, p, q, cosine, tangent * cosine, 1, 3)
    }
  }
  const root = new Float64Array(9)
  for (let i = 0; i < 9; i++) {
    for (let k = 0; k < 3; k++) root[i] += vectors[3 * Math.floor(i / 3) + k] * Math.sqrt(Math.max(a[4 * k], 1e-12)) * vectors[3 * (i % 3) + k]
  }
  return root
}

/** Turn columns (`across` 1, `along` 3) or rows (3, 1) p and q of a 3 × 3 matrix. */
function rotate(matrix: Float64Array, p: number, q: number, cosine: number, sine: number, across: number, along: number): void {
  for (let i = 0; i < 3; i++) {
    const x = matrix[p * across + i * along]
    const y = matrix[q * across + i * along]
    matrix[p * across + i * along] = cosine * x - sine * y
    matrix[q * across + i * along] = sine * x + cosine * y
  }
}
