// Pixels of pictures with transparency. A canvas keeps colours multiplied by their alpha, in 8 bits: of what is hardly visible nothing but
// noise would be left for the network to see. Textures keep them as they are.

import { type Pixels } from './tiles'

const SIDE = 2048 // of the parts; every device has textures of that size

/** All pixels of a bitmap whose colours are not multiplied; null where there is no WebGL. */
export async function translucentPixels(bitmap: ImageBitmap): Promise<Pixels | null> {
  const gl = new OffscreenCanvas(1, 1).getContext('webgl')
  if (!gl) return null
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false)
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE)
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer())
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture())
  const { width, height } = bitmap
  const data = new Uint8ClampedArray(4 * width * height)
  for (let top = 0; top < height; top += SIDE) {
    for (let left = 0; left < width; left += SIDE) {
      const [across, down] = [Math.min(SIDE, width - left), Math.min(SIDE, height - top)]
      const part = await createImageBitmap(bitmap, left, top, across, down, { premultiplyAlpha: 'none' })
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, part)
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0)
      const read = new Uint8Array(4 * across * down)
      gl.readPixels(0, 0, across, down, gl.RGBA, gl.UNSIGNED_BYTE, read)
      part.close()
      for (let y = 0; y < down; y++) data.set(read.subarray(4 * y * across, 4 * (y + 1) * across), 4 * ((top + y) * width + left))
    }
  }
  const failed = gl.getError() !== gl.NO_ERROR
  gl.getExtension('WEBGL_lose_context')?.loseContext() // browsers have few
  return failed ? null : { width, height, data }
}
