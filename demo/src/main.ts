// The page: what the visitor does goes to the painter, what it paints to the stage.

import { Compare } from './compare'
import { $ } from './dom'
import { fetched } from './fetched'
import { type Choice, Gallery, Slots } from './gallery'
import { Live } from './live'
import { keepEverything, register } from './offline'
import { type Look } from './paint'
import { Painter } from './painter'
import { listenForFiles, sample, showSamples } from './photographs'
import { read } from './pictures'
import { Saving } from './saving'
import { type Engine } from './session'
import { guarded, notice, noticeNothing, sayAgain, sayNothing, tell } from './status'
import { fill, type Language, language, languages, onLanguage, setLanguage, strings, translate } from './strings'
import { blend } from './style'
import { DRAFT, VIEW, View } from './view'

$('stuck').remove()
const painter = new Painter()
const compare = new Compare($('stage'), $('handle'), $('before'), $('after'))
const gallery = new Gallery($('gallery'), $('search'), $('nothing'), choose, file => guarded(() => bringPainting(file)))
const slots = new Slots($('slots'), () => {
  chosen[1] = null
  styleChanged()
})
const view = new View(painter, compare, () => (engine && !live.isOpen ? look() : null), showSizes)
const saving = new Saving(painter, VIEW, () => {
  const [now, photo] = [look(), view.photograph]
  return now && photo && { photo, look: now, style: chosen[0]!.name }
})
const live = new Live(compare, frame => {
  const now = look()
  return now && engine && painter.ask('paint', { subject: frame, look: now })
})
const strength = $<HTMLInputElement>('strength')
const weight = $<HTMLInputElement>('weight')

const chosen: [Choice | null, Choice | null] = [null, null]
let engine: Engine | null = null
let touched = false // whether the visitor has done anything

// The styles and their sliders

function look(): Look | null {
  const [first, second] = chosen
  if (!first) return null
  const share = Number(weight.value) / 100
  const style = second ? blend([first.style, second.style], [1 - share, share]) : first.style
  return { style, strength: Number(strength.value) }
}

function styleChanged(): void {
  const control = $('weight-control')
  if (chosen[1] && control.hidden) weight.value = '50'
  control.hidden = !chosen[1]
  showValues()
  slots.show(chosen)
  gallery.mark(chosen.flatMap(choice => (choice ? [choice.name] : [])))
  view.repaint(VIEW)
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
  let drafted = false
  slider.addEventListener('input', () => {
    touched = drafted = true
    showValues()
    view.repaint(DRAFT)
  })
  // Browsers tell of no change where a slider that was dragged is let go in its old place.
  for (const end of ['change', 'pointerup', 'pointercancel', 'blur']) {
    slider.addEventListener(end, () => {
      if (drafted) view.repaint(VIEW)
      drafted = false
    })
  }
}

// The photograph and a painting of one's own

async function bringPhoto(file: Blob | Promise<Blob>, name?: string): Promise<void> {
  tell('reading')
  const reading = Promise.resolve(file).then(blob => read(blob, name))
  const shown = await view.bring(reading.then(picture => {
    live.close()
    return picture
  }))
  if (!shown) return
  if (!engine) tell('loading')
  const { animated, reducedFrom } = await reading
  noticeNothing()
  const { width, height } = view.photograph!
  if (animated) notice('animated')
  if (reducedFrom) notice('reduced', { ...reducedFrom, newWidth: width, newHeight: height })
}

function showSizes(): void {
  if (view.photograph) saving.offer(view.photograph, !!engine)
  else saving.offerNothing()
}

async function bringPainting(file: File): Promise<void> {
  touched = true
  tell('measuring')
  const { bitmap, name, animated } = await read(file, file.name)
  const style = await painter.ask('measure', { bitmap }, { transfer: [bitmap] })
  const choice = { name: `own ${++own}`, title: name, artist: '', kind: '', picture: URL.createObjectURL(file), style }
  gallery.add(choice)
  choose(choice)
  if (animated) notice('animatedStyle')
  if (live.isOpen) sayNothing() // the frames go on
}

let own = 0

function photoGiven(file: File): void {
  touched = true
  guarded(() => bringPhoto(file, file.name))
}

listenForFiles(photoGiven, file => guarded(() => bringPainting(file)))

const bringSample = (name: string) => bringPhoto(sample(name), name)

// The camera

let samples: string[] = []
let asking = false // the visitor has not answered the browser yet

$('camera').addEventListener('click', () => guarded(async () => {
  if (asking) return
  touched = asking = true
  await live.open().finally(() => (asking = false))
  try {
    await view.putAside()
    await live.run()
  } catch (error) {
    await afterCamera() // or the last frame would stay beside a photograph that it is not
    throw error
  }
}))

$('take').addEventListener('click', () => guarded(async () => {
  noticeNothing()
  await view.bring(live.take().then(bitmap => ({ bitmap, name: 'camera' })))
}))

$('close').addEventListener('click', () => {
  live.close()
  guarded(afterCamera)
})

async function afterCamera(): Promise<void> {
  if (!view.bringBack()) await bringSample(samples[0])
}

// The beginning

function showLanguages(): void {
  const choice = $<HTMLSelectElement>('language')
  choice.append(...Object.entries(languages).map(([name, words]) => new Option(words.language, name)))
  choice.value = language()
  choice.addEventListener('change', () => setLanguage(choice.value as Language))
}

function showEngine(): void {
  if (!engine) return
  const { webgpu, threads, oneThread, noHeaders, insecure } = strings().engine
  const one = self.crossOriginIsolated ? oneThread : self.isSecureContext ? noHeaders : insecure
  $('engine').textContent = engine.kind === 'webgpu' ? webgpu : engine.threads > 1 ? fill(threads, { threads: engine.threads }) : one
}

async function begin(): Promise<void> {
  await register(() => !touched)
  tell('loading')
  const content = (await (await fetched('content.json')).json()) as { firstPreset: string; samples: string[] }
  samples = content.samples
  showSamples(samples, name => {
    touched = true
    guarded(() => bringSample(name))
  })
  if (!view.isGiven) guarded(() => bringSample(samples[0]))
  const opened = await painter.ask('open', { base: document.baseURI })
  engine = opened.engine
  showEngine()
  for (const { style, ...preset } of opened.presets) {
    const choice = { ...preset, picture: `thumbnails/${preset.name}.jpg`, style: Float32Array.from(style) }
    gallery.add(choice)
    if (preset.name === content.firstPreset) chosen[0] ??= choice
  }
  showSizes()
  styleChanged()
  // In WebAssembly the first picture needs 7 MB. What a GPU needs beside, 4 MB, can wait for it.
  painter.ask('improve', { base: document.baseURI }).then(better => {
    engine = better
    showEngine()
  }, () => {}) // the worker is gone, of which others tell
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
