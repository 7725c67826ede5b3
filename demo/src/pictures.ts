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
  const head = new Uint8Array(await file.slice(0, 2 ** 20).arrayBuffer())
  const kind = kindOf(head)
  let bitmap: ImageBitmap
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' })
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
  if (kind === 'webp') return head[12] === 0x56 && head[15] === 0x58 && (head[20] & 2) > 0 // VP8X with its flag
  const marks: Partial<Record<FileKind, [string, number]>> = { gif: ['\x00!\xf9\x04', 2], png: ['acTL', 1] }
  const [mark, times] = marks[kind] ?? ['', 0]
  if (!times) return kind === 'avif' && String.fromCharCode(...head.slice(8, 12)) === 'avis'
  const codes = [...mark].map(letter => letter.charCodeAt(0))
  let found = 0
  for (let i = 0; i + codes.length <= head.length && found < times; i++) if (codes.every((code, k) => head[i + k] === code)) found++
  return found >= times
}
