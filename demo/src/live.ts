// The camera, painted one frame after the other until it is closed.

import { Camera } from './camera'
import { type Compare } from './compare'
import { $ } from './dom'
import { sayNothing } from './status'
import { fill, strings } from './strings'
import { type Pixels } from './tiles'

const PAUSE = 100 // milliseconds until there may be a style

export class Live {
  private camera: Camera | null = null

  /** `paint` gives nothing while there is nothing to paint with. */
  constructor(private readonly compare: Compare, private readonly paint: (frame: Pixels) => Promise<Pixels> | null) {}

  get isOpen(): boolean {
    return !!this.camera
  }

  async open(): Promise<void> {
    this.camera = await Camera.open($('video'))
    this.show()
  }

  /** Paint what the camera sees; ends when it is closed, and closes it where a frame cannot be painted. */
  async run(): Promise<void> {
    const { camera } = this
    try {
      if (camera) await this.frames(camera)
    } catch (error) {
      if (this.camera !== camera) return // it was closed meanwhile
      this.close()
      throw error
    }
  }

  private async frames(camera: Camera): Promise<void> {
    let rate = 0
    while (this.camera === camera) {
      const began = performance.now()
      const { pixels, canvas } = camera.frame()
      const painting = this.paint(pixels)
      if (!painting) {
        await new Promise(resolve => setTimeout(resolve, PAUSE))
        continue
      }
      const painted = await painting
      if (this.camera !== camera) return
      this.compare.beginFrame(canvas, pixels.width, pixels.height)
      this.compare.show(painted)
      const now = 1000 / (performance.now() - began)
      rate = rate ? 0.9 * rate + 0.1 * now : now
      $('rate').textContent = fill(strings().status.live, { rate: rate.toFixed(rate < 10 ? 1 : 0) })
    }
  }

  /** What the camera sees now, as large as it is; then it is closed. */
  async take(): Promise<ImageBitmap> {
    const bitmap = await this.camera!.take()
    this.close()
    return bitmap
  }

  close(): void {
    if (!this.camera) return
    this.camera.close()
    this.camera = null
    this.show()
  }

  private show(): void {
    const here = ['live', 'sources'].some(row => $(row).contains(document.activeElement))
    $('live').hidden = !this.camera
    $('sources').hidden = !!this.camera
    document.body.dataset.live = this.camera ? 'yes' : ''
    if (here) $(this.camera ? 'take' : 'camera').focus() // the button that took the place of the one that is gone
    sayNothing()
  }
}
