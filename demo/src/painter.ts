// The page's side of the worker: each request is a promise.

import { Problem } from './problem'
import { type Kind, type Reply, type Requests } from './protocol'

interface Waiting {
  resolve: (answer: any) => void
  reject: (error: unknown) => void
  progress?: (share: number) => void
}

/** Thrown by a request that was taken back. */
export class Cancelled extends Error {}

export class Painter {
  private readonly worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  private readonly waiting = new Map<number, Waiting>()
  private count = 0
  private absent: Problem | null = null

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => this.hear(data)
    this.worker.onerror = event => {
      event.preventDefault()
      // What a script throws has words; a script that cannot be loaded has none, and will never answer.
      if (!event.message) this.absent = new Problem('missing', 'the worker')
      for (const one of this.waiting.values()) one.reject(this.absent ?? new Problem('engine', event.message))
      this.waiting.clear()
    }
  }

  /** Ask for something; `transfer` is no longer the page's then. */
  ask<K extends Kind>(
    kind: K,
    asked: Requests[K]['asked'],
    { transfer = [], progress, signal }: { transfer?: Transferable[]; progress?: (share: number) => void; signal?: AbortSignal } = {}
  ): Promise<Requests[K]['answer']> {
    if (this.absent) return Promise.reject(this.absent)
    const id = ++this.count
    signal?.addEventListener('abort', () => this.worker.postMessage({ id, kind: 'cancel' }))
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, progress })
      this.worker.postMessage({ id, kind, ...asked }, transfer)
    })
  }

  private hear(reply: Reply): void {
    const one = this.waiting.get(reply.id)
    if (!one) return
    if ('progress' in reply) return one.progress?.(reply.progress)
    this.waiting.delete(reply.id)
    if ('problem' in reply) one.reject(reply.problem === 'cancelled' ? new Cancelled() : new Problem(reply.problem, reply.detail))
    else one.resolve(reply.answer)
  }
}
