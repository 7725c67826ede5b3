// Where photographs and paintings come from: the file button, files dropped and pasted, and samples.

import { $ } from './dom'
import { fetched } from './fetched'
import { onLanguage, strings } from './strings'

/** Hand on every file that the visitor gives: those dropped over the styles as a painting, all others as a photograph. */
export function listenForFiles(photograph: (file: File) => void, painting: (file: File) => void): void {
  $<HTMLInputElement>('file').addEventListener('change', event => {
    const input = event.target as HTMLInputElement
    const file = input.files?.[0]
    input.value = '' // so that the same file can be chosen again
    if (file) photograph(file)
  })
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
    if (file) (isOverStyles(event) ? painting : photograph)(file)
  })
  addEventListener('paste', event => {
    const file = event.clipboardData?.files[0]
    if (file) photograph(file)
  })
}

const isOverStyles = (event: DragEvent) => $('styles').contains(event.target as Node)

/** A button for each sample photograph. */
export function showSamples(names: readonly string[], chosen: (name: string) => void): void {
  const buttons = names.map(name => {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'sample'
    const image = new Image(96, 64)
    image.src = addressOf(name)
    onLanguage(() => (image.alt = strings().samples[name] ?? name))
    button.append(image)
    button.addEventListener('click', () => chosen(name))
    return button
  })
  $('samples').append(...buttons)
}

export const sample = async (name: string): Promise<Blob> => (await fetched(addressOf(name))).blob()

const addressOf = (name: string) => `samples/${name}.jpg`
