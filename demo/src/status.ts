// What is said below the picture: what is going on, what stays true of this photograph, and what went wrong.

import { $ } from './dom'
import { Cancelled } from './painter'
import { problemOf } from './problem'
import { fill, strings } from './strings'

type Name = keyof ReturnType<typeof strings>['status']
type Values = Record<string, string | number>

let said: [Name, Values] | null = null
let noticed: [Name, Values] | null = null

/** Say what is going on. */
export function tell(name: Name, values: Values = {}): void {
  said = [name, values]
  $('status').textContent = fill(strings().status[name], values)
}

export function sayNothing(): void {
  said = null
  $('status').textContent = ''
}

/** Say what stays true of this photograph. */
export function notice(name: Name, values: Values = {}): void {
  noticed = [name, values]
  $('notice').textContent = fill(strings().status[name], values)
  $('notice').hidden = false
}

export function noticeNothing(): void {
  noticed = null
  $('notice').hidden = true
}

/** Do what the visitor asked for; say so if it cannot be done. */
export async function guarded(work: () => Promise<void>): Promise<void> {
  $('problem').hidden = true
  try {
    await work()
  } catch (error) {
    if (error instanceof Cancelled) return tell('cancelled')
    sayNothing()
    $('problem').dataset.problem = problemOf(error)
    $('problem').title = error instanceof Error ? error.message : String(error)
    $('problem').hidden = false
    sayProblem()
  }
}

function sayProblem(): void {
  const name = $('problem').dataset.problem as keyof ReturnType<typeof strings>['problems'] | undefined
  if (name) $('problem').textContent = strings().problems[name]
}

/** Say it all again, in the language of now. */
export function sayAgain(): void {
  if (said) tell(...said)
  if (noticed) notice(...noticed)
  sayProblem()
}
