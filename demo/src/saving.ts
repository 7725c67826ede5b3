// The download: at which size, how far it is, and the way back.

import { $ } from './dom'
import { type Look } from './paint'
import { type Painter } from './painter'
import { fitted } from './resample'
import { guarded, tell } from './status'
import { strings } from './strings'
import { type Photograph } from './view'

/** What is downloaded: a photograph by its name and size, painted with a look, in a file named for both. */
export interface Wanted {
  photo: Photograph
  look: Look
  style: string
}

export class Saving {
  private readonly size = $<HTMLSelectElement>('size')
  private readonly button = $<HTMLButtonElement>('save')
  private readonly progress = $<HTMLProgressElement>('progress')
  private going: AbortController | null = null

  /** `shown` are the pixels of the longer side of what the page shows. */
  constructor(private readonly painter: Painter, private readonly shown: number, wanted: () => Wanted | null) {
    this.button.addEventListener('click', () => {
      const now = wanted()
      if (now && !this.going) guarded(() => this.save(now))
    })
    $('cancel').addEventListener('click', () => this.going?.abort())
  }

  /** Offer the sizes of a photograph, the last one chosen where it still exists. */
  offer(photo: { width: number; height: number }, ready: boolean): void {
    const { asShown, full } = strings().texts
    const longest = Math.max(photo.width, photo.height)
    const sides = [this.shown, 2048, longest].filter((side, i, all) => side < longest || i === all.length - 1)
    const before = this.size.value
    this.size.replaceChildren(...sides.map(side => {
      const { width, height } = fitted(photo, side)
      const words = side === longest ? ` (${full})` : side === this.shown ? ` (${asShown})` : ''
      return new Option(`${width} × ${height}${words}`, String(side))
    }))
    this.size.value = [...this.size.options].some(option => option.value === before) ? before : String(longest)
    this.button.disabled = !ready
  }

  offerNothing(): void {
    this.button.disabled = true
  }

  private async save({ photo, look, style }: Wanted): Promise<void> {
    const side = Number(this.size.value)
    this.going = new AbortController()
    tell('saving')
    this.show()
    try {
      const progress = (share: number) => (this.progress.value = share)
      const file = await this.painter.ask('save', { side, look }, { progress, signal: this.going.signal })
      download(file, `${photo.name}-${style.replace(/\W+/g, '-')}.png`)
      tell('saved', fitted(photo, side))
    } finally {
      this.going = null
      this.show()
    }
  }

  private show(): void {
    const here = [this.button, $('cancel')].includes(document.activeElement as HTMLButtonElement)
    this.button.hidden = !!this.going
    this.size.disabled = !!this.going
    $('cancel').hidden = this.progress.hidden = !this.going
    this.progress.value = 0
    if (here) $(this.going ? 'cancel' : 'save').focus() // and not where the visitor has gone on to something else
  }
}

function download(file: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
