// Files that visitors give: decoded, upright, or refused with the name of a sentence that says why.

import { Problem } from './problem'

export interface Picture {
  bitmap: ImageBitmap
  /** The file's, without its ending. */
  name: string
  /** Of an animation only the first picture is painted. */
  animated: boolean
  /** Its size in the file, if it was too large to be kept. */
  reducedFrom: { width: number; height: number } | null
}

const MOST_PIXELS = 100e6 // 400 MB in memory

export async function read(file: Blob, name = 'photo'): Promise<Picture> {
  if (!file.size) throw new Problem('empty')
  const head = new Uint8Array(await file.slice(0, 2 ** 24).arrayBuffer())
  const kind = kindOf(head)
  let bitmap: ImageBitmap
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', premultiplyAlpha: 'none' })
  } catch (error) {
    if (kind === 'heic' || kind === 'tiff' || kind === 'raw') throw new Problem(kind, String(error))
    throw new Problem(kind === 'unknown' ? 'notAPicture' : 'damaged', String(error))
  }
  const { width, height } = bitmap
  const plain = name.replace(/\.[^.]*$/, '') || 'photo'
  const animated = isAnimated(kind, head)
  if (width * height <= MOST_PIXELS) return { bitmap, name: plain, animated, reducedFrom: null }
  const scale = Math.sqrt(MOST_PIXELS / width / height)
  const size = { resizeWidth: Math.floor(width * scale), resizeHeight: Math.floor(height * scale), resizeQuality: 'high' as const }
  const smaller = await createImageBitmap(bitmap, size)
  bitmap.close()
  return { bitmap: smaller, name: plain, animated, reducedFrom: { width, height } }
}

type FileKind = 'jpeg' | 'png' | 'gif' | 'webp' | 'avif' | 'bmp' | 'heic' | 'tiff' | 'raw' | 'unknown'

function kindOf(head: Uint8Array): FileKind {
  const text = (start: number, end: number) => String.fromCharCode(...head.slice(start, end))
  if (head[0] === 0xff && head[1] === 0xd8) return 'jpeg'
  if (text(1, 4) === 'PNG') return 'png'
  if (text(0, 4) === 'GIF8') return 'gif'
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp'
  if (text(0, 2) === 'BM') return 'bmp'
  if (['II*\0', 'MM\0*'].includes(text(0, 4))) return text(8, 10) === 'CR' ? 'raw' : 'tiff'
  if (text(4, 8) !== 'ftyp') return 'unknown'
  const brands = text(8, 32)
  if (/avi[fs]/.test(brands)) return 'avif'
  if (/crx /.test(brands)) return 'raw'
  return /hei[cxms]|hev[cxms]|mif1|msf1/.test(brands) ? 'heic' : 'unknown'
}

function isAnimated(kind: FileKind, head: Uint8Array): boolean {
  const text = (start: number, end: number) => String.fromCharCode(...head.slice(start, end))
  if (kind === 'gif') return imagesOfGif(head) > 1
  if (kind === 'webp') return text(12, 16) === 'VP8X' && (head[20] & 2) > 0
  if (kind === 'png') return text(8, 2 ** 16).includes('acTL') // before the pixels
  return kind === 'avif' && text(8, 12) === 'avis'
}

/** How many images a GIF file has: 0, 1, or 2 for more. */
function imagesOfGif(data: Uint8Array): number {
  const table = (flags: number) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0)
  let images = 0
  let at = 13 + table(data[10])
  while (at < data.length && images < 2) {
    const block = data[at]
    if (block === 0x2c) {
      images++
      at += 11 + table(data[at + 9])
    } else if (block === 0x21) at += 2
    else break
    while (data[at]) at += data[at] + 1 // parts of the block, each with its length before it
    at++
  }
  return images
}
