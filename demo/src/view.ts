// The photograph at hand, and what is painted of it: of what is asked for, only the last, and of photographs only the one given last.

import { type Compare } from './compare'
import { $ } from './dom'
import { type Look } from './paint'
import { type Painter } from './painter'
import { fitted } from './resample'
import { guarded, tell } from './status'

export const VIEW = 768 // pixels of the longer side of what is shown,
export const DRAFT = 384 // and while a slider is dragged

export interface Photograph {
  name: string
  width: number
  height: number
}

export class View {
  private photo: Photograph | null = null
  private given = 0
  private wanted = 0
  private busy = false
  private paintings = 0
  private aside: ImageBitmap | null = null

  /** `look` gives nothing while nothing is to be painted; `changed` is called for a photograph that is there, and for none. */
  constructor(
    private readonly painter: Painter,
    private readonly compare: Compare,
    private readonly look: () => Look | null,
    private readonly changed: () => void
  ) {}

  /** The photograph, once the painter has it. */
  get photograph(): Photograph | null {
    return this.photo
  }

  /** Whether any photograph was asked for. */
  get isGiven(): boolean {
    return this.given > 0
  }

  /** Show what `reading` gives, unless another photograph is given meanwhile; whether it is shown. */
  async bring(reading: Promise<{ bitmap: ImageBitmap; name: string }>): Promise<boolean> {
    const turn = ++this.given
    const picture = await reading.catch(error => {
      if (turn === this.given) throw error
    })
    if (!picture || turn !== this.given) {
      picture?.bitmap.close()
      return false
    }
    const { bitmap, name } = picture
    const { width, height } = bitmap
    const view = fitted(bitmap, VIEW)
    this.photo = null
    document.body.dataset.painted = ''
    this.changed()
    this.compare.begin(bitmap, view.width, view.height)
    await this.painter.ask('photo', { bitmap }, { transfer: [bitmap] })
    if (turn !== this.given) return false
    this.photo = { name, width, height }
    this.changed()
    this.repaint(VIEW)
    return true
  }

  /** Paint it with its longer side of `side` pixels; if something is being painted, then after it, and only what was asked last. */
  async repaint(side: number): Promise<void> {
    this.wanted = side
    document.body.dataset.painted = ''
    if (this.busy || !this.photo || !this.look()) return
    this.busy = true
    $('busy').hidden = false
    await guarded(() => this.paintAll().finally(() => {
      this.busy = false
      $('busy').hidden = true
    }))
  }

  /** Keep what is shown of it while something else is. */
  async putAside(): Promise<void> {
    this.aside = await createImageBitmap($<HTMLCanvasElement>('before'))
  }

  /** Show what was put aside again, if anything was. */
  bringBack(): boolean {
    if (!this.aside || !this.photo) return false
    this.compare.begin(this.aside, this.aside.width, this.aside.height)
    this.repaint(VIEW)
    return true
  }

  private async paintAll(): Promise<void> {
    for (let look = this.look(); this.wanted && this.photo && look; look = this.look()) {
      const [side, photo, began] = [this.wanted, this.photo, performance.now()]
      this.wanted = 0
      if (side === VIEW) tell('painting')
      const pixels = await this.painter.ask('paint', { subject: side, look })
      if (photo !== this.photo || !this.look()) continue // it is no longer what is shown
      this.compare.show(pixels)
      if (side === VIEW && !this.wanted) this.painted(performance.now() - began)
    }
  }

  private painted(milliseconds: number): void {
    tell('painted', { seconds: (milliseconds / 1000).toFixed(milliseconds < 950 ? 2 : 1) })
    document.body.dataset.painted = String(++this.paintings)
  }
}
