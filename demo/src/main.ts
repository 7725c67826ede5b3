// The page: what the visitor does goes to the painter, what it paints to the stage.

import { Compare } from './compare'
import { $ } from './dom'
import { type Choice, Gallery, Slots } from './gallery'
import { Live } from './live'
import { keepEverything, register } from './offline'
import { type Look } from './paint'
import { Painter } from './painter'
import { listenForFiles, sample, showSamples } from './photographs'
import { read } from './pictures'
import { fitted } from './resample'
import { Saving } from './saving'
import { type Engine } from './session'
import { guarded, notice, noticeNothing, sayAgain, tell } from './status'
import { fill, type Language, language, languages, onLanguage, setLanguage, strings, translate } from './strings'
import { blend } from './style'

const VIEW = 768 // pixels of the longer side of what is shown,
const DRAFT = 384 // and while a slider is dragged

const painter = new Painter()
const compare = new Compare($('stage'), $('handle'), $('before'), $('after'))
const gallery = new Gallery($('gallery'), $('search'), $('nothing'), choose, file => guarded(() => bringPainting(file)))
const slots = new Slots($('slots'), () => {
  chosen[1] = null
  styleChanged()
})
const saving = new Saving(painter, VIEW, () => {
  const now = look()
  return now && photo && { photo, look: now, style: chosen[0]!.name }
})
const live = new Live(compare, frame => {
  const now = look()
  return now && engine && painter.ask('paint', { subject: frame, look: now })
})
const strength = $<HTMLInputElement>('strength')
const weight = $<HTMLInputElement>('weight')

const chosen: [Choice | null, Choice | null] = [null, null]
let photo: { name: string; width: number; height: number } | null = null
let engine: Engine | null = null
let touched = false // whether the visitor has done anything

// Painting

function look(): Look | null {
  const [first, second] = chosen
  if (!first) return null
  const share = Number(weight.value) / 100
  const style = second ? blend([first.style, second.style], [1 - share, share]) : first.style
  return { style, strength: Number(strength.value) }
}

let wanted = 0
let busy = false
let paintings = 0

/** Paint the view with its longer side of `side` pixels; if something is being painted, then after it, and only what was asked last. */
async function repaint(side: number): Promise<void> {
  wanted = side
  document.body.dataset.painted = ''
  if (busy || live.isOpen || !photo || !engine) return
  busy = true
  $('busy').hidden = false
  await guarded(async () => {
    try {
      while (wanted && photo && engine && look() && !live.isOpen) {
        const now = wanted
        wanted = 0
        const began = performance.now()
        if (now === VIEW) tell('painting')
        compare.show(await painter.ask('paint', { subject: now, look: look()! }))
        if (now === VIEW && !wanted) painted(performance.now() - began)
      }
    } finally {
      busy = false
      $('busy').hidden = true
    }
  })
}

function painted(milliseconds: number): void {
  tell('painted', { seconds: (milliseconds / 1000).toFixed(milliseconds < 950 ? 2 : 1) })
  document.body.dataset.painted = String(++paintings)
}

function styleChanged(): void {
  const control = $('weight-control')
  if (chosen[1] && control.hidden) weight.value = '50'
  control.hidden = !chosen[1]
  showValues()
  slots.show(chosen)
  gallery.mark(chosen.flatMap(choice => (choice ? [choice.name] : [])))
  repaint(VIEW)
}

function choose(choice: Choice): void {
  touched = true
  chosen[slots.active] = choice
  styleChanged()
}

function showValues(): void {
  $('strength-value').textContent = Number(strength.value).toFixed(2)
  $('weight-value').textContent = `${weight.value} %`
}

for (const slider of [strength, weight]) {
  slider.addEventListener('input', () => {
    touched = true
    showValues()
    repaint(DRAFT)
  })
  slider.addEventListener('change', () => repaint(VIEW))
}

// The photograph and a painting of one's own

async function bringPhoto(file: Blob, name?: string): Promise<void> {
  tell('reading')
  const { bitmap, name: plain, animated, reducedFrom } = await read(file, name)
  live.close()
  await usePhoto(bitmap, plain)
  if (animated) notice('animated')
  if (reducedFrom && photo) notice('reduced', { ...reducedFrom, newWidth: photo.width, newHeight: photo.height })
}

async function usePhoto(bitmap: ImageBitmap, name: string): Promise<void> {
  const { width, height } = bitmap
  const view = fitted(bitmap, VIEW)
  photo = null
  document.body.dataset.painted = ''
  saving.offerNothing()
  compare.begin(bitmap, view.width, view.height)
  noticeNothing()
  await painter.ask('photo', { bitmap }, { transfer: [bitmap] })
  photo = { name, width, height }
  showSizes()
  repaint(VIEW)
}

function showSizes(): void {
  if (photo) saving.offer(photo, !!engine)
}

async function bringPainting(file: File): Promise<void> {
  touched = true
  tell('measuring')
  const { bitmap, name } = await read(file, file.name)
  const style = await painter.ask('measure', { bitmap }, { transfer: [bitmap] })
  const choice = { name: `own ${++own}`, title: name, artist: '', kind: '', picture: URL.createObjectURL(file), style }
  gallery.add(choice)
  choose(choice)
}

let own = 0

function photoGiven(file: File): void {
  touched = true
  guarded(() => bringPhoto(file, file.name))
}

listenForFiles(photoGiven, file => guarded(() => bringPainting(file)))

const bringSample = async (name: string) => bringPhoto(await sample(name), name)

// The camera

let samples: string[] = []

$('camera').addEventListener('click', () => guarded(async () => {
  touched = true
  const button = $<HTMLButtonElement>('camera')
  button.disabled = true // until the visitor has answered the browser
  try {
    await live.open()
  } finally {
    button.disabled = false
  }
  try {
    await live.run()
  } catch (error) {
    await bringSample(samples[0]) // or the last frame would stay beside a photograph that it is not
    throw error
  }
}))

$('take').addEventListener('click', () => guarded(async () => usePhoto(await live.take(), 'camera')))

$('close').addEventListener('click', () => {
  live.close()
  guarded(() => bringSample(samples[0]))
})

// The beginning

function showLanguages(): void {
  const choice = $<HTMLSelectElement>('language')
  choice.append(...Object.entries(languages).map(([name, words]) => new Option(words.language, name)))
  choice.value = language()
  choice.addEventListener('change', () => setLanguage(choice.value as Language))
}

function showEngine(): void {
  if (!engine) return
  const { webgpu, threads, oneThread, noHeaders } = strings().engine
  const one = self.crossOriginIsolated ? oneThread : noHeaders
  $('engine').textContent = engine.kind === 'webgpu' ? webgpu : engine.threads > 1 ? fill(threads, { threads: engine.threads }) : one
}

async function begin(): Promise<void> {
  await register(() => !touched)
  tell('loading')
  const content = (await (await fetch('content.json')).json()) as { firstPreset: string; samples: string[] }
  samples = content.samples
  showSamples(samples, name => {
    touched = true
    guarded(() => bringSample(name))
  })
  const first = bringSample(samples[0])
  const opened = await painter.ask('open', { base: document.baseURI })
  engine = opened.engine
  showEngine()
  for (const { style, ...preset } of opened.presets) {
    const choice = { ...preset, picture: `thumbnails/${preset.name}.jpg`, style: Float32Array.from(style) }
    gallery.add(choice)
    if (preset.name === content.firstPreset) chosen[0] ??= choice
  }
  await first
  showSizes()
  styleChanged()
}

showLanguages()
onLanguage(() => {
  showValues()
  showEngine()
  showSizes()
  slots.show(chosen)
  sayAgain()
})
translate()
guarded(begin).then(async () => {
  if (await keepEverything()) {
    onLanguage(() => ($('offline').textContent = strings().status.offline))
    $('offline').hidden = false
  }
})
