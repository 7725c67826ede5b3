// The model: four graphs in ONNX Runtime, in WebAssembly or, where the browser has WebGPU, on the GPU. Runs in the worker.

import type * as Ort from 'onnxruntime-web'
import { fetched } from './fetched'
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

/** Which graphs a GPU runs. The others compute nine numbers in double precision, which it does not have. */
const ON_GPU: Record<string, boolean> = { colors: false, features: true, maps: false, pixels: true }

interface Graph {
  ort: typeof Ort
  session: Ort.InferenceSession
}

export class Model {
  private constructor(
    readonly facts: Facts,
    readonly engine: Engine,
    private readonly graphs: Record<string, Graph>,
    private readonly queue: { last: Promise<unknown> } = { last: Promise.resolve() }
  ) {}

  /** The model in the folder `base` of the page, in WebAssembly. */
  static async open(base: string): Promise<Model> {
    const names = Object.keys(ON_GPU)
    const [ort, answer, ...files] = await Promise.all([
      runtime('ort.wasm', 'ort-wasm-simd-threaded', base),
      fetched(new URL('model/model.json', base)),
      ...names.map(name => graphFile(name, base))
    ])
    const facts = (await answer.json()) as Facts
    const graphs: Record<string, Graph> = {}
    try {
      for (const [i, name] of names.entries()) graphs[name] = await graphOf(files[i], ort, 'wasm')
    } catch (error) {
      throw new Problem('engine', String(error))
    }
    return new Model(facts, { kind: 'wasm', threads: ort.env.wasm.numThreads! }, graphs)
  }

  /** The same model with all that a GPU can do done there; null without a GPU. What GPUs and their drivers can do differs: it may throw. */
  async onGpu(base: string): Promise<Model | null> {
    const ort = await runtimeOnGpu(base)
    if (!ort) return null
    const graphs = { ...this.graphs }
    for (const name of Object.keys(ON_GPU).filter(name => ON_GPU[name])) graphs[name] = await graphOf(await graphFile(name, base), ort, 'webgpu')
    return new Model(this.facts, { kind: 'webgpu', threads: 1 }, graphs, this.queue)
  }

  /** What a graph makes of its inputs, by name. One runs at a time; who comes later waits. */
  run(name: string, inputs: Record<string, Values | Style>): Promise<Record<string, Values>> {
    const { ort, session } = this.graphs[name]
    const feeds: Record<string, Ort.Tensor> = {}
    for (const [key, value] of Object.entries(inputs)) {
      const { data, dims } = 'dims' in value ? value : { data: value, dims: [1, value.length] }
      feeds[key] = new ort.Tensor('float32', data, dims)
    }
    const done = this.queue.last.then(() => session.run(feeds)) as Promise<Record<string, Values>>
    this.queue.last = done.catch(() => {})
    return done
  }
}

const graphFile = (name: string, base: string) => fetched(new URL(`model/${name}.onnx`, base)).then(bytes)

async function graphOf(file: Uint8Array, ort: typeof Ort, provider: Engine['kind']): Promise<Graph> {
  return { ort, session: await ort.InferenceSession.create(file, { executionProviders: [provider], logSeverityLevel: 4 }) }
}

/** ONNX Runtime for the GPU, if there is one that can be used. */
async function runtimeOnGpu(base: string): Promise<typeof Ort | null> {
  try {
    // The smaller of its builds waits for the GPU in a way that not all browsers have. A fallback adapter is the processor, only slower.
    const adapter = 'Suspending' in WebAssembly && (await (navigator as any).gpu?.requestAdapter())
    if (!adapter || adapter.info?.isFallbackAdapter || adapter.isFallbackAdapter) return null
    return await runtime('ort.jspi', 'ort-wasm-simd-threaded.jspi', base)
  } catch {
    return null
  }
}

async function runtime(script: string, core: string, base: string): Promise<typeof Ort> {
  const at = (name: string) => new URL(`runtime/${name}`, base)
  const binary = await unpacked(await fetched(at(`${core}.wasm.gz`)))
  const ort = (await import(/* @vite-ignore */ at(`${script}.min.mjs`).href).catch(error => {
    throw new Problem('missing', String(error))
  })) as typeof Ort
  ort.env.logLevel = 'fatal' // what fails is said on the page
  ort.env.wasm.wasmBinary = binary
  ort.env.wasm.wasmPaths = { mjs: at(`${core}.mjs`).href }
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1
  return ort
}

const bytes = async (answer: Response) => new Uint8Array(await answer.arrayBuffer())

/** A .gz file's content. Some servers call it an encoding, and browsers then unpack it themselves. */
async function unpacked(answer: Response): Promise<ArrayBuffer> {
  const packed = await answer.blob()
  const [first, second] = await bytes(new Response(packed.slice(0, 2)))
  const stream = first === 0x1f && second === 0x8b ? packed.stream().pipeThrough(new DecompressionStream('gzip')) : packed.stream()
  return new Response(stream).arrayBuffer()
}
