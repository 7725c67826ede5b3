// What page and worker say to each other. Each request has a number, under which it is answered.

import { type Look } from './paint'
import { type ProblemName } from './problem'
import { type Engine, type Preset } from './session'
import { type Style } from './style'
import { type Pixels } from './tiles'

/** What is painted: the photograph with its longer side scaled down to so many pixels, or a frame. */
export type Subject = number | Pixels

export interface Requests {
  open: { asked: { base: string }; answer: { engine: Engine; presets: Preset[] } }
  /** Answered after the first picture, when what paints has been moved to the GPU, if there is one. */
  improve: { asked: { base: string }; answer: Engine }
  photo: { asked: { bitmap: ImageBitmap }; answer: void }
  paint: { asked: { subject: Subject; look: Look }; answer: Pixels }
  measure: { asked: { bitmap: ImageBitmap }; answer: Style }
  save: { asked: { side: number; look: Look }; answer: Blob }
}

export type Kind = keyof Requests

export type Request = { [K in Kind]: { id: number; kind: K } & Requests[K]['asked'] }[Kind] | { id: number; kind: 'cancel' }

export type Reply =
  | { id: number; answer: Requests[Kind]['answer'] }
  | { id: number; progress: number }
  | { id: number; problem: ProblemName | 'cancelled'; detail: string }
