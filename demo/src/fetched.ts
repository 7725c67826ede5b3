// A file of the page.

import { Problem } from './problem'

/** Throws the sentence about missing files if it is not there. */
export async function fetched(url: URL | string): Promise<Response> {
  const answer = await fetch(url).catch(() => null)
  if (!answer?.ok) throw new Problem('missing', `${url}: ${answer?.status ?? 'no answer'}`)
  return answer
}
