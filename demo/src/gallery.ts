// The styles to choose from: the presets, those of a kind together, and paintings of the visitor's own.

import { type Style } from './style'
import { onLanguage, strings } from './strings'

export interface Choice {
  name: string
  title: string
  artist: string
  kind: string
  picture: string
  style: Style
}

const OWN = '' // the kind of the visitor's own

export class Gallery {
  private readonly cards = new Map<string, { card: HTMLElement; words: () => string }>()
  private readonly groups = new Map<string, HTMLElement>()

  constructor(
    private readonly place: HTMLElement,
    private readonly search: HTMLInputElement,
    private readonly nothing: HTMLElement,
    private readonly choose: (choice: Choice) => void,
    private readonly bring: (file: File) => void
  ) {
    search.addEventListener('input', () => this.filter())
    this.group(OWN).append(this.ownCard())
    onLanguage(() => {
      for (const [kind, group] of this.groups) group.previousElementSibling!.textContent = nameOf(kind)
      this.filter()
    })
  }

  add(choice: Choice): void {
    const card = document.createElement('button')
    card.type = 'button'
    card.className = 'card'
    card.dataset.name = choice.name
    card.setAttribute('aria-pressed', 'false')
    card.append(picture(choice.picture), line('b', choice.title), line('small', choice.artist))
    card.addEventListener('click', () => this.choose(choice))
    const { name, title, artist, kind } = choice
    this.cards.set(name, { card, words: () => `${name} ${title} ${artist} ${kind} ${nameOf(kind)}`.toLowerCase() })
    this.group(choice.kind).append(card)
    this.filter()
  }

  /** Mark what is chosen. */
  mark(names: readonly string[]): void {
    for (const [name, { card }] of this.cards) card.setAttribute('aria-pressed', String(names.includes(name)))
  }

  private group(kind: string): HTMLElement {
    const known = this.groups.get(kind)
    if (known) return known
    const heading = document.createElement('h3')
    heading.textContent = nameOf(kind)
    const group = document.createElement('div')
    group.className = 'cards'
    this.groups.set(kind, group)
    const section = document.createElement('section')
    section.append(heading, group)
    this.place.append(section)
    return group
  }

  private ownCard(): HTMLElement {
    const card = document.createElement('label')
    card.className = 'card own'
    card.innerHTML = '<input type="file" accept="image/*" class="unseen" id="own"><i aria-hidden="true">+</i><b data-text="own"></b>'
    const input = card.querySelector('input')!
    input.addEventListener('change', () => {
      if (input.files?.[0]) this.bring(input.files[0])
      input.value = ''
    })
    return card
  }

  private filter(): void {
    const words = this.search.value.toLowerCase().split(/\s+/)
    let found = 0
    for (const { card, words: own } of this.cards.values()) {
      card.hidden = !words.every(word => own().includes(word))
      if (!card.hidden) found++
    }
    for (const group of this.groups.values()) {
      group.parentElement!.hidden = ![...group.children].some(card => !(card as HTMLElement).hidden)
    }
    this.nothing.hidden = found > 0
  }
}

/** The two places for styles: what is chosen goes into the one that is pressed. */
export class Slots {
  active: 0 | 1 = 0
  private readonly buttons: HTMLButtonElement[]
  private readonly remove = document.createElement('button')

  constructor(place: HTMLElement, removed: () => void) {
    this.buttons = [0, 1].map(slot => {
      const button = document.createElement('button')
      button.type = 'button'
      button.className = 'slot'
      button.addEventListener('click', () => this.activate(slot as 0 | 1))
      return button
    })
    this.remove.type = 'button'
    this.remove.className = 'remove'
    this.remove.textContent = '×'
    this.remove.hidden = true
    this.remove.addEventListener('click', () => {
      this.activate(0)
      this.buttons[0].focus()
      removed()
    })
    place.append(...this.buttons, this.remove)
    this.activate(0)
  }

  activate(slot: 0 | 1): void {
    this.active = slot
    this.buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(i === slot)))
  }

  show(choices: readonly (Choice | null)[]): void {
    const { first, second, none, removeSecond } = strings().texts
    choices.forEach((choice, i) => {
      const words = document.createElement('span')
      words.append(line('small', [first, second][i]), line('b', choice?.title ?? none))
      this.buttons[i].replaceChildren(choice ? picture(choice.picture) : document.createElement('i'), words)
    })
    this.remove.hidden = !choices[1]
    this.remove.setAttribute('aria-label', removeSecond)
  }
}

const nameOf = (kind: string): string => (kind === OWN ? strings().texts.ownKind : (strings().kinds[kind] ?? kind))

function picture(address: string): HTMLImageElement {
  const image = document.createElement('img')
  image.loading = 'lazy'
  image.alt = ''
  image.width = 240
  image.height = 160
  image.src = address
  return image
}

function line(tag: 'b' | 'small', text: string): HTMLElement {
  const made = document.createElement(tag)
  made.textContent = text
  return made
}
