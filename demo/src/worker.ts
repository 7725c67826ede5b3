// The worker: it holds the model and the photograph, and paints, so that the page stays responsive.

import { type Look, measure, paint } from './paint'
import { Photo } from './photo'
import { PngWriter } from './png'
import { problemOf } from './problem'
import { type Reply, type Request, type Requests, type Subject } from './protocol'
import { Model } from './session'
import { type Pixels, type Source, sourceOf } from './tiles'

const STYLE_SIDE = 512 // pixels of the shorter side of a painting: larger ones have strokes too large for most photographs

const port = self as unknown as Worker // in which TypeScript's library sees a window

let modelOpened: (model: Promise<Model>) => void
let model = new Promise<Model>(resolve => (modelOpened = resolve)) // for what is asked before it is there
let firstPainted: () => void
const first = new Promise<void>(resolve => (firstPainted = resolve))
let photo: Promise<Photo> // the one given last, however long it takes
const running = new Map<number, AbortController>()

port.onmessage = async ({ data: request }: MessageEvent<Request>) => {
  const { id } = request
  if (request.kind === 'cancel') return running.get(id)?.abort()
  const controller = new AbortController()
  running.set(id, controller)
  const say = (reply: Reply) => port.postMessage(reply)
  try {
    say({ id, answer: await answer(request, controller.signal, progress => say({ id, progress })) })
  } catch (error) {
    say({ id, problem: controller.signal.aborted ? 'cancelled' : problemOf(error), detail: String(error) })
  } finally {
    running.delete(id)
  }
}

type Asked = Exclude<Request, { kind: 'cancel' }>

async function answer(request: Asked, signal: AbortSignal, progress: (share: number) => void): Promise<Requests[keyof Requests]['answer']> {
  switch (request.kind) {
    case 'open': {
      modelOpened(Model.open(request.base))
      const { engine, facts } = await model
      return { engine, presets: facts.presets }
    }
    case 'improve':
      await first
      model = Promise.resolve(await improved(await model, request.base))
      return (await model).engine
    case 'photo':
      photo = Photo.of(request.bitmap)
      await photo
      return
    case 'paint':
      return painted(await sourceFor(request.subject), request.look)
    case 'measure':
      return measure(await model, (await Photo.of(request.bitmap)).at(STYLE_SIDE, 'short'))
    case 'save':
      return saved((await photo).at(request.side), request.look, signal, progress)
  }
}

/** The model on the GPU if it paints there, which shows only when it does: a small picture is tried. Else the model as it is. */
async function improved(found: Model, base: string): Promise<Model> {
  try {
    const better = await found.onGpu(base)
    if (!better) return found
    const small = { width: 16, height: 16, data: Uint8ClampedArray.from({ length: 1024 }, (_, i) => (i * 37) % 256) }
    const style = Float32Array.from(found.facts.presets[0].style)
    await paint(better, sourceOf(small, true), { style, strength: 1 }, () => {})
    return better
  } catch {
    return found
  }
}

const sourceFor = async (subject: Subject): Promise<Source> =>
  typeof subject === 'number' ? (await photo).at(subject) : sourceOf(subject, true)

async function painted(source: Source, look: Look): Promise<Pixels> {
  const { width, height } = source
  const out = new Uint8ClampedArray(4 * width * height)
  await paint(await model, source, look, (area, { data }) => {
    for (let y = 0; y < area.height; y++) {
      out.set(data.subarray(4 * y * area.width, 4 * (y + 1) * area.width), 4 * ((area.top + y) * width + area.left))
    }
  })
  firstPainted()
  return { width, height, data: out }
}

async function saved(source: Source, look: Look, signal: AbortSignal, progress: (share: number) => void): Promise<Blob> {
  const { width, height, opaque } = source
  let file = new PngWriter(width, height, opaque)
  let band = new Uint8ClampedArray(0)
  try {
    await paint(await model, source, look, async (area, { data }) => {
      if (area.left === 0) band = new Uint8ClampedArray(4 * width * area.height) // a new row of tiles
      for (let y = 0; y < area.height; y++) {
        band.set(data.subarray(4 * y * area.width, 4 * (y + 1) * area.width), 4 * (y * width + area.left))
      }
      if (area.left + area.width === width) await file.rows(band)
    }, { progress, signal }, () => {
      file.abort()
      file = new PngWriter(width, height, opaque)
    })
    return await file.finish()
  } catch (error) {
    file.abort()
    throw error
  }
}
