// The model: four graphs in ONNX Runtime, on the GPU where the browser has WebGPU, else in WebAssembly. Runs in the worker.

import type * as Ort from 'onnxruntime-web'
import { Problem } from './problem'
import { type Style } from './style'

/** What model.json says; docs/export.md. */
export interface Facts {
  stride: number
  levelStrides: number[]
  encoderHalo: number
  halo: number
  presets: Preset[]
}

export interface Preset {
  name: string
  title: string
  artist: string
  kind: string
  style: number[]
}

export interface Engine {
  kind: 'webgpu' | 'wasm'
  threads: number
}

/** Numbers of a graph, with the sizes of their dimensions. */
export interface Values {
  data: Float32Array
  dims: readonly number[]
}

export class Model {
  private last: Promise<unknown> = Promise.resolve()

  private constructor(
    private readonly ort: typeof Ort,
    readonly engine: Engine,
    readonly facts: Facts,
    private readonly sessions: Record<string, Ort.InferenceSession>
  ) {}

  /** The model in the folder `base` of the page, on the best engine there is. */
  static async open(base: string): Promise<Model> {
    const names = ['colors', 'features', 'maps', 'pixels']
    const [facts, ...graphs] = await Promise.all([
      fetched(new URL('model/model.json', base)).then(answer => answer.json() as Promise<Facts>),
      ...names.map(name => fetched(new URL(`model/${name}.onnx`, base)).then(bytes))
    ])
    for (const kind of (await hasGpu()) ? (['webgpu', 'wasm'] as const) : (['wasm'] as const)) {
      try {
        const ort = await runtime(kind, base)
        const sessions: Record<string, Ort.InferenceSession> = {}
        for (const [i, name] of names.entries()) {
          // The first and the third compute some numbers in double precision, which GPUs do not have.
          const providers = kind === 'webgpu' && i % 2 ? [kind, 'wasm'] : ['wasm']
          sessions[name] = await ort.InferenceSession.create(graphs[i], { executionProviders: providers, logSeverityLevel: 3 })
        }
        return new Model(ort, { kind, threads: ort.env.wasm.numThreads! }, facts, sessions)
      } catch (error) {
        if (kind === 'wasm') throw error instanceof Problem ? error : new Problem('engine', String(error))
      }
    }
    throw new Problem('engine')
  }

  /** What a graph makes of its inputs, by name. One runs at a time; who comes later waits. */
  run(name: string, inputs: Record<string, Values | Style>): Promise<Record<string, Values>> {
    const feeds: Record<string, Ort.Tensor> = {}
    for (const [key, value] of Object.entries(inputs)) {
      const { data, dims } = 'dims' in value ? value : { data: value, dims: [1, value.length] }
      feeds[key] = new this.ort.Tensor('float32', data, dims)
    }
    const done = this.last.then(() => this.sessions[name].run(feeds)) as Promise<Record<string, Values>>
    this.last = done.catch(() => {})
    return done
  }
}

async function hasGpu(): Promise<boolean> {
  try {
    // The smaller of ONNX Runtime's builds for GPUs waits for them in a way that not all browsers have.
    return 'Suspending' in WebAssembly && !!(await (navigator as any).gpu?.requestAdapter())
  } catch {
    return false
  }
}

async function runtime(kind: Engine['kind'], base: string): Promise<typeof Ort> {
  const [script, core] = kind === 'webgpu' ? ['ort.jspi', 'ort-wasm-simd-threaded.jspi'] : ['ort.wasm', 'ort-wasm-simd-threaded']
  const at = (name: string) => new URL(`runtime/${name}`, base)
  const binary = await unpacked(await fetched(at(`${core}.wasm.gz`)))
  const ort = (await import(/* @vite-ignore */ at(`${script}.min.mjs`).href)) as typeof Ort
  ort.env.wasm.wasmBinary = binary
  ort.env.wasm.wasmPaths = { mjs: at(`${core}.mjs`).href }
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1
  return ort
}

async function fetched(url: URL): Promise<Response> {
  const answer = await fetch(url).catch(() => null)
  if (!answer?.ok) throw new Problem('missing', `${url.pathname}: ${answer?.status ?? 'no answer'}`)
  return answer
}

const bytes = async (answer: Response) => new Uint8Array(await answer.arrayBuffer())

/** A .gz file's content. Some servers call it an encoding, and browsers then unpack it themselves. */
async function unpacked(answer: Response): Promise<ArrayBuffer> {
  const packed = await answer.blob()
  const [first, second] = await bytes(new Response(packed.slice(0, 2)))
  const stream = first === 0x1f && second === 0x8b ? packed.stream().pipeThrough(new DecompressionStream('gzip')) : packed.stream()
  return new Response(stream).arrayBuffer()
}
