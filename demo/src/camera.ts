// The camera, if there is one and it is allowed.

import { Problem } from './problem'
import { fitted } from './resample'
import { type Pixels } from './tiles'

const SIDE = 320 // of the frames that are painted live

export class Camera {
  private constructor(
    private readonly video: HTMLVideoElement,
    private readonly stream: MediaStream,
    private readonly canvas = document.createElement('canvas')
  ) {}

  static async open(video: HTMLVideoElement): Promise<Camera> {
    if (!navigator.mediaDevices?.getUserMedia) throw new Problem('cameraInsecure')
    let stream: MediaStream
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', width: { ideal: 1920 } } })
    } catch (error) {
      throw new Problem((error as DOMException).name === 'NotAllowedError' ? 'cameraDenied' : 'noCamera', String(error))
    }
    const camera = new Camera(video, stream)
    video.srcObject = stream
    try {
      await video.play()
    } catch (error) {
      camera.close()
      throw error
    }
    return camera
  }

  /** A small picture of what the camera sees now, and the canvas that it is on. */
  frame(): { pixels: Pixels; canvas: HTMLCanvasElement } {
    const { width, height } = fitted({ width: this.video.videoWidth, height: this.video.videoHeight }, SIDE)
    this.canvas.width = width
    this.canvas.height = height
    const context = this.canvas.getContext('2d', { willReadFrequently: true })!
    context.drawImage(this.video, 0, 0, width, height)
    return { pixels: { width, height, data: context.getImageData(0, 0, width, height).data }, canvas: this.canvas }
  }

  /** What the camera sees now, as large as it is. */
  take(): Promise<ImageBitmap> {
    return createImageBitmap(this.video)
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop()
    this.video.srcObject = null
  }
}
