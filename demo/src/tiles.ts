// Areas of a picture, and how it is cut into tiles.

export interface Area {
  top: number
  left: number
  height: number
  width: number
}

/** Pixels as a canvas has them: red, green, blue and alpha, 0 to 255, row by row. */
export interface Pixels {
  width: number
  height: number
  data: Uint8ClampedArray
}

/** A picture of any size, of which parts are read. */
export interface Source {
  readonly width: number
  readonly height: number
  /** Whether all of it is; if not, pixels count by their alpha. */
  readonly opaque: boolean
  read(area: Area): Pixels
}

/** Tiles of about `side` pixels that cover a picture, row by row, as even as can be; they begin at multiples of `stride`. */
export function plan(width: number, height: number, side: number, stride: number): Area[] {
  const columns = spans(width, side, stride)
  return spans(height, side, stride).flatMap(([top, height]) => columns.map(([left, width]) => ({ top, left, height, width })))
}

function spans(length: number, side: number, stride: number): [start: number, length: number][] {
  const count = Math.ceil(length / Math.max(side, stride))
  const step = Math.ceil(length / count / stride) * stride
  const starts = Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step)
  return starts.map(start => [start, Math.min(step, length - start)])
}

/** `area` with `margin` pixels more at each side, as far as the picture reaches. */
export function grown(area: Area, margin: number, { width, height }: { width: number; height: number }): Area {
  const top = Math.max(0, area.top - margin)
  const left = Math.max(0, area.left - margin)
  const bottom = Math.min(height, area.top + area.height + margin)
  const right = Math.min(width, area.left + area.width + margin)
  return { top, left, height: bottom - top, width: right - left }
}

/** Where `area` lies in `outer`. */
export const inside = (area: Area, outer: Area): Area => ({ ...area, top: area.top - outer.top, left: area.left - outer.left })

/** The cells of `stride` pixels that `area` touches. */
export function cells(area: Area, stride: number): Area {
  const top = Math.floor(area.top / stride)
  const left = Math.floor(area.left / stride)
  const bottom = Math.ceil((area.top + area.height) / stride)
  const right = Math.ceil((area.left + area.width) / stride)
  return { top, left, height: bottom - top, width: right - left }
}

/** Rows of a picture that have at most about `pixels` pixels each, at multiples of `step` rows. */
export function bands({ width, height }: { width: number; height: number }, step = 8, pixels = 2 ** 20): Area[] {
  const rows = Math.max(step, Math.floor(pixels / width / step) * step)
  const tops = Array.from({ length: Math.ceil(height / rows) }, (_, i) => i * rows)
  return tops.map(top => ({ top, left: 0, height: Math.min(rows, height - top), width }))
}

/** A picture in memory as a Source. */
export function sourceOf(pixels: Pixels, opaque: boolean): Source {
  const { width, height, data } = pixels
  const read = (area: Area): Pixels => {
    if (area.width === width && area.height === height) return pixels
    const part = new Uint8ClampedArray(4 * area.width * area.height)
    for (let y = 0; y < area.height; y++) {
      const start = 4 * ((area.top + y) * width + area.left)
      part.set(data.subarray(start, start + 4 * area.width), 4 * y * area.width)
    }
    return { width: area.width, height: area.height, data: part }
  }
  return { width, height, opaque, read }
}
