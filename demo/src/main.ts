// The page: what the visitor does goes to the painter, what it paints to the stage.

import { Camera } from './camera'
import { Compare } from './compare'
import { type Choice, Gallery, Slots } from './gallery'
import { keepEverything, register } from './offline'
import { type Look } from './paint'
import { Cancelled, Painter } from './painter'
import { read } from './pictures'
import { problemOf } from './problem'
import { fitted } from './resample'
import { type Engine } from './session'
import { fill, type Language, language, languages, onLanguage, setLanguage, strings, translate } from './strings'
import { blend } from './style'

const VIEW = 768 // pixels of the longer side of what is shown,
const DRAFT = 384 // and while a slider is dragged

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T

const painter = new Painter()
const compare = new Compare($('stage'), $('handle'), $('before'), $('after'))
const gallery = new Gallery($('gallery'), $('search'), $('nothing'), choose, file => guarded(() => bringPainting(file)))
const slots = new Slots($('slots'), () => {
  chosen[1] = null
  styleChanged()
})
const strength = $<HTMLInputElement>('strength')
const weight = $<HTMLInputElement>('weight')

const chosen: [Choice | null, Choice | null] = [null, null]
let photo: { name: string; width: number; height: number } | null = null
let engine: Engine | null = null
let camera: Camera | null = null
let touched = false // whether the visitor has done anything

// What is said

type StatusName = keyof ReturnType<typeof strings>['status']
let said: [StatusName, Record<string, string | number>] | null = null

function tell(name: StatusName, values: Record<string, string | number> = {}): void {
  said = [name, values]
  $('status').textContent = fill(strings().status[name], values)
}

/** Do what the visitor asked for; say so if it cannot be done. */
async function guarded(work: () => Promise<void>): Promise<void> {
  $('problem').hidden = true
  try {
    await work()
  } catch (error) {
    if (error instanceof Cancelled) return tell('cancelled')
    $('status').textContent = ''
    $('problem').dataset.problem = problemOf(error)
    $('problem').title = error instanceof Error ? error.message : String(error)
    $('problem').textContent = strings().problems[problemOf(error)]
    $('problem').hidden = false
  }
}

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
  if (busy || camera) return
  busy = true
  $('busy').hidden = false
  await guarded(async () => {
    try {
      while (wanted && photo && engine && look()) {
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

// The photograph

async function bringPhoto(file: Blob, name?: string): Promise<void> {
  tell('reading')
  const { bitmap, name: plain, animated, reducedFrom } = await read(file, name)
  closeCamera()
  await usePhoto(bitmap, plain)
  if (animated) notice('animated')
  if (reducedFrom && photo) notice('reduced', { ...reducedFrom, newWidth: photo.width, newHeight: photo.height })
}

async function usePhoto(bitmap: ImageBitmap, name: string): Promise<void> {
  const { width, height } = bitmap
  const view = fitted(bitmap, VIEW)
  photo = null
  document.body.dataset.painted = ''
  $<HTMLButtonElement>('save').disabled = true
  compare.begin(bitmap, view.width, view.height)
  noticed = null
  $('notice').hidden = true
  await painter.ask('photo', { bitmap }, { transfer: [bitmap] })
  photo = { name, width, height }
  showSizes()
  repaint(VIEW)
}

let noticed: [StatusName, Record<string, string | number>] | null = null

/** What stays true of this photograph. */
function notice(name: StatusName, values: Record<string, string | number> = {}): void {
  noticed = [name, values]
  $('notice').textContent = fill(strings().status[name], values)
  $('notice').hidden = false
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

$<HTMLInputElement>('file').addEventListener('change', event => {
  const input = event.target as HTMLInputElement
  const file = input.files?.[0]
  input.value = '' // so that the same file can be chosen again
  if (file) photoGiven(file)
})

function photoGiven(file: File): void {
  touched = true
  guarded(() => bringPhoto(file, file.name))
}

const isOverStyles = (event: DragEvent) => $('styles').contains(event.target as Node)

addEventListener('dragover', event => {
  event.preventDefault()
  document.body.dataset.drop = isOverStyles(event) ? 'style' : 'photo'
})
addEventListener('dragleave', event => {
  if (!event.relatedTarget) delete document.body.dataset.drop
})
addEventListener('drop', event => {
  event.preventDefault()
  delete document.body.dataset.drop
  const file = event.dataTransfer?.files[0]
  if (!file) return
  if (isOverStyles(event)) guarded(() => bringPainting(file))
  else photoGiven(file)
})
addEventListener('paste', event => {
  const file = event.clipboardData?.files[0]
  if (file) photoGiven(file)
})

// The camera

$('camera').addEventListener('click', () => guarded(async () => {
  touched = true
  camera = await Camera.open($('video'))
  showCamera()
  await live()
}))

/** Paint what the camera sees, one frame after the other, until it is closed. */
async function live(): Promise<void> {
  let rate = 0
  while (camera) {
    const began = performance.now()
    const { pixels, canvas } = camera.frame()
    const seen = look()
    if (!seen || !engine) {
      await new Promise(resolve => setTimeout(resolve, 100))
      continue
    }
    const painted = await painter.ask('paint', { subject: pixels, look: seen })
    if (!camera) return
    compare.beginFrame(canvas, pixels.width, pixels.height)
    compare.show(painted)
    const now = 1000 / (performance.now() - began)
    rate = rate ? 0.9 * rate + 0.1 * now : now
    $('rate').textContent = fill(strings().status.live, { rate: rate.toFixed(rate < 10 ? 1 : 0) })
  }
}

$('take').addEventListener('click', () => guarded(async () => {
  const bitmap = await camera!.take()
  closeCamera()
  await usePhoto(bitmap, 'camera')
}))

$('close').addEventListener('click', () => {
  closeCamera()
  guarded(() => bringSample(samples[0]))
})

function closeCamera(): void {
  camera?.close()
  camera = null
  showCamera()
}

function showCamera(): void {
  $('live').hidden = !camera
  $('sources').hidden = !!camera
  $('status').textContent = ''
  document.body.dataset.live = camera ? 'yes' : ''
}

// Sample photographs

let samples: string[] = []

async function bringSample(name: string): Promise<void> {
  const answer = await fetch(`samples/${name}.jpg`)
  await bringPhoto(await answer.blob(), name)
}

function showSamples(): void {
  const buttons = samples.map(name => {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'sample'
    const image = new Image(96, 64)
    image.src = `samples/${name}.jpg`
    onLanguage(() => (image.alt = strings().samples[name] ?? name))
    button.append(image)
    button.addEventListener('click', () => {
      touched = true
      guarded(() => bringSample(name))
    })
    return button
  })
  $('samples').append(...buttons)
}

// The download

const size = $<HTMLSelectElement>('size')

function showSizes(): void {
  if (!photo) return
  const { asShown, full } = strings().texts
  const longest = Math.max(photo.width, photo.height)
  const sides = [VIEW, 2048, longest].filter((side, i, all) => side < longest || i === all.length - 1)
  const before = size.value
  size.replaceChildren(...sides.map(side => {
    const { width, height } = fitted(photo!, side)
    const words = side === longest ? ` (${full})` : side === VIEW ? ` (${asShown})` : ''
    return new Option(`${width} × ${height}${words}`, String(side))
  }))
  size.value = [...size.options].some(option => option.value === before) ? before : String(longest)
  $<HTMLButtonElement>('save').disabled = !engine
}

let saving: AbortController | null = null

$('save').addEventListener('click', () => guarded(async () => {
  const wantedLook = look()
  if (!wantedLook || !photo || saving) return
  saving = new AbortController()
  const side = Number(size.value)
  const { width, height } = fitted(photo, side)
  const name = `${photo.name}-${chosen[0]!.name.replace(/\W+/g, '-')}.png`
  tell('saving')
  showSaving()
  try {
    const progress = (share: number) => ($<HTMLProgressElement>('progress').value = share)
    download(await painter.ask('save', { side, look: wantedLook }, { progress, signal: saving.signal }), name)
    tell('saved', { width, height })
  } finally {
    saving = null
    showSaving()
  }
}))

$('cancel').addEventListener('click', () => saving?.abort())

function showSaving(): void {
  $('save').hidden = !!saving
  size.disabled = !!saving
  $('cancel').hidden = $('progress').hidden = !saving
  $<HTMLProgressElement>('progress').value = 0
  $(saving ? 'cancel' : 'save').focus()
}

function download(file: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
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
  const { webgpu, threads, oneThread, noHeaders } = strings().engine
  const one = self.crossOriginIsolated ? oneThread : noHeaders
  $('engine').textContent = engine.kind === 'webgpu' ? webgpu : engine.threads > 1 ? fill(threads, { threads: engine.threads }) : one
}

async function begin(): Promise<void> {
  await register(() => !touched)
  tell('loading')
  const content = (await (await fetch('content.json')).json()) as { firstPreset: string; samples: string[] }
  samples = content.samples
  showSamples()
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
  if (said) tell(...said)
  if (noticed) notice(...noticed)
})
translate()
guarded(begin).then(async () => {
  if (await keepEverything()) {
    onLanguage(() => ($('offline').textContent = strings().status.offline))
    $('offline').hidden = false
  }
})
