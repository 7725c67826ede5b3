// Before and after: two canvases on each other, and a handle that says how much of the upper one is shown.

import { type Pixels } from './tiles'

const STEPS: Record<string, number> = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 }

export class Compare {
  private cut = 0

  constructor(
    private readonly stage: HTMLElement,
    private readonly handle: HTMLElement,
    private readonly before: HTMLCanvasElement,
    private readonly after: HTMLCanvasElement
  ) {
    const drag = (event: PointerEvent) => {
      const { left, width } = before.getBoundingClientRect()
      this.moveTo((100 * (event.clientX - left)) / width)
    }
    stage.addEventListener('pointerdown', event => {
      if (event.button) return
      event.preventDefault() // no dragging of the picture
      handle.focus({ preventScroll: true })
      stage.setPointerCapture(event.pointerId)
      drag(event)
    })
    stage.addEventListener('pointermove', event => {
      if (stage.hasPointerCapture(event.pointerId)) drag(event)
    })
    handle.addEventListener('keydown', event => {
      const step = STEPS[event.key]
      if (!step) return
      event.preventDefault()
      this.moveTo(this.cut + step)
    })
    this.moveTo(33)
  }

  /** Show so many percent of the photograph as it was. */
  moveTo(percent: number): void {
    this.cut = Math.min(100, Math.max(0, percent))
    this.stage.style.setProperty('--cut', `${this.cut}%`)
    this.handle.setAttribute('aria-valuenow', String(Math.round(this.cut)))
    this.handle.setAttribute('aria-valuetext', `${Math.round(this.cut)} %`)
  }

  /** A photograph of `width` and `height`, not painted yet. */
  begin(picture: CanvasImageSource, width: number, height: number): void {
    this.stage.style.setProperty('--ratio', String(width / height))
    for (const canvas of [this.before, this.after]) draw(canvas, picture, width, height)
  }

  /** The photograph alone; what is painted stays. */
  beginFrame(picture: CanvasImageSource, width: number, height: number): void {
    this.stage.style.setProperty('--ratio', String(width / height))
    draw(this.before, picture, width, height)
  }

  /** What was painted, of any size of the same shape. */
  show({ width, height, data }: Pixels): void {
    this.after.width = width
    this.after.height = height
    this.after.getContext('2d')!.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0)
  }
}

function draw(canvas: HTMLCanvasElement, picture: CanvasImageSource, width: number, height: number): void {
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d')!
  context.imageSmoothingQuality = 'high'
  context.drawImage(picture, 0, 0, width, height)
}
