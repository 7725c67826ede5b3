// What can go wrong, by the names of the sentences that say so (strings/).

import { type Strings } from './strings/en'

export type ProblemName = keyof Strings['problems'] & string

export class Problem extends Error {
  constructor(readonly what: ProblemName, detail = '') {
    super(detail || what)
  }
}

/** The name of the sentence for anything that was thrown. */
export function problemOf(error: unknown): ProblemName {
  if (error instanceof Problem) return error.what
  return isOutOfMemory(error) ? 'memory' : 'unforeseen'
}

export function isOutOfMemory(error: unknown): boolean {
  return /memory|alloc|array buffer|device.{0,20}lost/i.test(String(error))
}
