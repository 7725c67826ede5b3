// A PNG file, written row by row while a picture is painted: a canvas would be too small for large ones, and would round the colours of
// translucent pixels.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
  return n
})

export class PngWriter {
  private readonly channels: 3 | 4
  private readonly packer = new CompressionStream('deflate')
  private readonly writer = this.packer.writable.getWriter()
  private readonly packed: Promise<Blob>
  private previous: Uint8Array

  constructor(readonly width: number, readonly height: number, opaque: boolean) {
    this.channels = opaque ? 3 : 4
    this.previous = new Uint8Array(width * this.channels)
    this.packed = this.collect()
    this.packed.catch(() => {}) // who waits for it is told
  }

  /** The next rows, as a canvas has them. */
  async rows(data: Uint8ClampedArray): Promise<void> {
    const { width, channels } = this
    const count = data.length / 4 / width
    const length = width * channels
    const filtered = new Uint8Array(count * (length + 1))
    for (let y = 0; y < count; y++) {
      const row = new Uint8Array(length)
      for (let x = 0, from = 4 * y * width; x < length; x += channels, from += 4) {
        for (let c = 0; c < channels; c++) row[x + c] = data[from + c]
      }
      filterRow(row, this.previous, channels, filtered, y * (length + 1))
      this.previous = row
    }
    await this.writer.write(filtered)
  }

  /** The file, when all rows are written. */
  async finish(): Promise<Blob> {
    await this.writer.close()
    return this.packed
  }

  /** Give up. */
  abort(): void {
    this.writer.abort().catch(() => {})
  }

  private async collect(): Promise<Blob> {
    const header = new Uint8Array(13)
    new DataView(header.buffer).setUint32(0, this.width)
    new DataView(header.buffer).setUint32(4, this.height)
    header.set([8, this.channels === 3 ? 2 : 6], 8) // bits, kind of colours
    const parts: Uint8Array<ArrayBuffer>[] = [
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
      ...chunk('IHDR', header),
      ...chunk('sRGB', Uint8Array.of(0))
    ]
    const reader = this.packer.readable.getReader()
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) parts.push(...chunk('IDAT', value!))
    return new Blob([...parts, ...chunk('IEND', new Uint8Array(0))], { type: 'image/png' })
  }
}

/** Paeth's filter: each byte less the one of its left, upper and upper left neighbours that is nearest to left + upper − upper left. */
function filterRow(row: Uint8Array, above: Uint8Array, step: number, out: Uint8Array, at: number): void {
  out[at++] = 4
  for (let i = 0; i < row.length; i++) {
    const left = i < step ? 0 : row[i - step]
    const up = above[i]
    const corner = i < step ? 0 : above[i - step]
    const toLeft = Math.abs(up - corner)
    const toUp = Math.abs(left - corner)
    const toCorner = Math.abs(left + up - 2 * corner)
    out[at + i] = row[i] - (toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner)
  }
}

function chunk(kind: string, data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const name = Uint8Array.from(kind, letter => letter.charCodeAt(0))
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, data.length)
  const sum = new Uint8Array(4)
  new DataView(sum.buffer).setUint32(0, checksum([name, data]))
  return [length, name, data, sum]
}

function checksum(parts: readonly Uint8Array[]): number {
  let sum = 0xffffffff
  for (const part of parts) for (const byte of part) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8)
  return (sum ^ 0xffffffff) >>> 0
}
