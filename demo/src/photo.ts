// A decoded photograph as a Source: read part by part, because no canvas holds one of 60 megapixels.

import { filled } from './hidden'
import { fitted, resample } from './resample'
import { type Area, bands, type Pixels, type Source, sourceOf } from './tiles'
import { translucentPixels } from './translucent'

export class Photo {
  private readonly sizes = new Map<string, Source>()

  private constructor(readonly full: Source) {}

  static async of(bitmap: ImageBitmap): Promise<Photo> {
    const source = sourceOfBitmap(bitmap)
    if (source.opaque) return new Photo(source)
    const exact = await translucentPixels(bitmap)
    return new Photo(filled(exact ? sourceOf(exact, false) : source))
  }

  /** The photograph at `side` pixels or less, on the longer or the shorter side. */
  at(side: number, of: 'long' | 'short' = 'long'): Source {
    const { width, height } = fitted(this.full, side, of)
    if (width * height > 2 ** 21) return this.scaled(width, height) // not kept
    const key = `${width} x ${height}`
    const source = this.sizes.get(key) ?? this.scaled(width, height)
    this.sizes.set(key, source)
    return source
  }

  private scaled(width: number, height: number): Source {
    if (width === this.full.width && height === this.full.height) return this.full
    return sourceOf(resample(this.full, width, height), this.full.opaque)
  }
}

function sourceOfBitmap(bitmap: ImageBitmap): Source {
  const { width, height } = bitmap
  const canvas = new OffscreenCanvas(1, 1)
  const context = canvas.getContext('2d', { willReadFrequently: true })!
  const read = (area: Area): Pixels => {
    canvas.width = area.width // which clears it
    canvas.height = area.height
    context.drawImage(bitmap, -area.left, -area.top)
    return { width: area.width, height: area.height, data: context.getImageData(0, 0, area.width, area.height).data }
  }
  return { width, height, opaque: bands(bitmap).every(band => isOpaque(read(band))), read }
}

function isOpaque({ data }: Pixels): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i] < 255) return false
  return true
}
