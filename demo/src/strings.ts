// The page's sentences in the visitor's language.

import { en, type Strings } from './strings/en'
import { ja } from './strings/ja'
import { zh } from './strings/zh'

export const languages = { en, zh, ja }
export type Language = keyof typeof languages

const KEY = 'adain language'
let current: Language = chosen() ?? preferred()
const listeners: (() => void)[] = []

export const language = (): Language => current
export const strings = (): Strings => languages[current]

/** A sentence with its {blanks} filled. */
export const fill = (sentence: string, values: Record<string, string | number>): string =>
  sentence.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]))

export function setLanguage(name: Language): void {
  current = name
  try {
    localStorage.setItem(KEY, name)
  } catch {
    // Storage is denied: the choice holds until the page is left.
  }
  translate()
}

/** Call `update` now and whenever the language changes. */
export function onLanguage(update: () => void): void {
  listeners.push(update)
  update()
}

/** Give elements with data-text their words, and those with data-label their names for screen readers. */
export function translate(): void {
  document.documentElement.lang = current
  document.title = strings().texts.title
  const words = strings().texts as Record<string, string>
  for (const element of document.querySelectorAll<HTMLElement>('[data-text]')) element.textContent = words[element.dataset.text!]
  for (const element of document.querySelectorAll<HTMLElement>('[data-label]')) element.setAttribute('aria-label', words[element.dataset.label!])
  for (const element of document.querySelectorAll<HTMLInputElement>('[data-hint]')) element.placeholder = words[element.dataset.hint!]
  for (const update of listeners) update()
}

function chosen(): Language | null {
  try {
    const name = localStorage.getItem(KEY)
    return name && name in languages ? (name as Language) : null
  } catch {
    return null
  }
}

function preferred(): Language {
  for (const name of navigator.languages ?? []) {
    const short = name.slice(0, 2).toLowerCase()
    if (short in languages) return short as Language
  }
  return 'en'
}
