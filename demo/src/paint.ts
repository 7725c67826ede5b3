// Adaptive instance normalisation (Huang and Belongie 2017) of a picture of any size: measure, move, paint.
//
//     AdaIN(x, y) = σ(y) (x − μ(x)) / σ(x) + μ(y)
//
// gives the features x of a photograph the mean μ and the deviation σ of a painting's features y. The moments are those of the whole
// picture, so a picture in tiles is first measured, tile by tile, and then painted: the result is that of the picture in one piece. The
// same is done to the colours first. docs/export.md, "In tiles", names the steps.

import { cellWeights, channelMoments, colorMoments, merge, type Moments } from './moments'
import { isOutOfMemory, Problem } from './problem'
import { type Model, type Values } from './session'
import { joined, type Style, styleOf } from './style'
import { type Area, bands, cells, grown, inside, type Pixels, plan, type Source } from './tiles'

export interface Look {
  style: Style
  /** 0 is the photograph, 1 the style, 2 the most. */
  strength: number
}

export interface Work {
  /** Called with the share that is done. */
  progress?: (share: number) => void
  /** Stops at the next tile. */
  signal?: AbortSignal
}

type Write = (area: Area, painted: Pixels) => void | Promise<void>

const SIDE = 512 // of tiles
const WHOLE = 1.5e6 // pixels that are painted in one piece
const LEAST = 128 // the side of the smallest tiles that are tried when memory runs out

const UNCHANGED = new Float32Array([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]) // a recolouring

/** Paint `source`; `write` gets one tile after the other, row by row. `restart` is called before all begins anew, in smaller tiles. */
export async function paint(model: Model, source: Source, look: Look, write: Write, work: Work = {}, restart = () => {}): Promise<void> {
  await inTiles(model, source, restart, tiles => paintTiles(model, source, look, tiles, write, work))
}

/** The style of a picture. */
export async function measure(model: Model, source: Source): Promise<Style> {
  return inTiles(model, source, () => {}, async tiles => {
    const features = await measureTiles(model, source, UNCHANGED, tiles, () => {})
    return styleOf([colorsOf(source), ...features.moments])
  })
}

async function inTiles<T>(model: Model, source: Source, restart: () => void, work: (tiles: Area[]) => Promise<T>): Promise<T> {
  const { width, height } = source
  for (let side = width * height > WHOLE ? SIDE : Math.max(width, height); ; side = Math.ceil(side / 2)) {
    try {
      return await work(plan(width, height, side, model.facts.stride))
    } catch (error) {
      if (!isOutOfMemory(error)) throw error
      if (side <= LEAST) throw new Problem('memory', String(error))
      restart()
    }
  }
}

async function paintTiles(model: Model, source: Source, look: Look, tiles: Area[], write: Write, work: Work): Promise<void> {
  const { style } = look
  const strength = new Float32Array([look.strength])
  const request = { style, strength: { data: strength, dims: [1] } }
  let steps = 0
  const step = async () => {
    work.progress?.(++steps / (2 * tiles.length))
    await messages()
    work.signal?.throwIfAborted()
  }

  // 1. From the moments of the colours, the map that recolours the picture.
  const colors = colorsOf(source)
  const { recolor } = await model.run('colors', { colors: joined([colors.mean, colors.variance]), ...request })

  // 2. The moments of the features of what is recoloured.
  const { moments, only } = await measureTiles(model, source, recolor.data, tiles, step)

  // 3. From all these moments, the maps that move the features.
  const statistics = joined([colors, ...moments].flatMap(({ mean, variance }) => [mean, variance]))
  const { maps } = await model.run('maps', { statistics, ...request })

  // 4. Each tile: its features, moved, and made into a picture again.
  for (const tile of tiles) {
    const outer = grown(tile, model.facts.halo, source)
    const pixels = source.read(outer)
    const picture = only?.picture ?? tensorOf(pixels, model.facts.stride)
    const features = only?.features ?? (await model.run('features', { picture, recolor }))
    const { painted } = await model.run('pixels', { picture, recolor, maps, ...features })
    await write(tile, pixelsOf(painted, inside(tile, outer), pixels))
    await step()
  }
}

/** The moments of each level of features over all tiles; of one `only` tile, what they were taken from too. */
async function measureTiles(model: Model, source: Source, recoloring: Float32Array, tiles: Area[], step: () => void | Promise<void>) {
  const { stride, levelStrides, encoderHalo } = model.facts
  const recolor = { data: recoloring, dims: [1, recoloring.length] }
  const found: Moments[][] = levelStrides.map(() => [])
  let only: { picture: Values; features: Record<string, Values> } | null = null
  for (const tile of tiles) {
    const outer = grown(tile, encoderHalo, source)
    const pixels = source.read(outer)
    const picture = tensorOf(pixels, stride)
    const features = await model.run('features', { picture, recolor })
    levelStrides.forEach((levelStride, level) => {
      const { data, dims } = features[`feature${level}`]
      const weights = source.opaque ? null : cellWeights(source.read(tile), levelStride)
      found[level].push(channelMoments(data, dims, cells(inside(tile, outer), levelStride), weights))
    })
    if (tiles.length === 1) only = { picture, features }
    await step()
  }
  return { moments: found.map(merge), only }
}

function colorsOf(source: Source): Moments {
  return merge(bands(source).map(band => colorMoments(source.read(band))))
}

/** Pixels as a tensor [1, 3, height, width] in 0..1, grown at the right and bottom to multiples of `stride`: reflected. */
function tensorOf({ width, height, data }: Pixels, stride: number): Values {
  const xs = reflected(width, stride)
  const ys = reflected(height, stride)
  const size = xs.length * ys.length
  const values = new Float32Array(3 * size)
  let to = 0
  for (const y of ys) {
    for (const x of xs) {
      const from = 4 * (y * width + x)
      values[to] = data[from] / 255
      values[size + to] = data[from + 1] / 255
      values[2 * size + to] = data[from + 2] / 255
      to++
    }
  }
  return { data: values, dims: [1, 3, ys.length, xs.length] }
}

/** Which of `count` pixels stands at each place of a row that is a multiple of `stride` long, of two at the least. */
function reflected(count: number, stride: number): number[] {
  const length = Math.max(2, Math.ceil(count / stride)) * stride
  return Array.from({ length }, (_, place) => Math.min(place, Math.max(0, 2 * (count - 1) - place)))
}

/** The `part` of a painted tile as pixels, with the alpha of what was painted. */
function pixelsOf({ data, dims }: Values, part: Area, seen: Pixels): Pixels {
  const [height, width] = dims.slice(-2)
  const out = new Uint8ClampedArray(4 * part.width * part.height)
  for (let y = 0, to = 0; y < part.height; y++) {
    for (let x = 0; x < part.width; x++, to += 4) {
      const from = (part.top + y) * width + part.left + x
      for (let c = 0; c < 3; c++) out[to + c] = 255 * data[c * height * width + from]
      out[to + 3] = seen.data[4 * ((part.top + y) * seen.width + part.left + x) + 3]
    }
  }
  return { width: part.width, height: part.height, data: out }
}

/** Let messages in, such as the one that says to stop: what a worker waits for does not do so by itself. */
const messages = () => new Promise(resolve => setTimeout(resolve))
