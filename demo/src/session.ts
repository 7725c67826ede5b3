// The model: four graphs in ONNX Runtime, on the GPU where the browser has WebGPU, else in WebAssembly. Runs in the worker.

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
  private last: Promise<unknown> = Promise.resolve()

  private constructor(readonly facts: Facts, readonly engine: Engine, private readonly graphs: Record<string, Graph>) {}

  /** The model in the folder `base` of the page, on a GPU if `tryGpu` and there is one. */
  static async open(base: string, tryGpu: boolean): Promise<Model> {
    const [gpu, wasm, answer, ...files] = await Promise.all([
      tryGpu ? runtimeOnGpu(base) : null,
      runtime('ort.wasm', 'ort-wasm-simd-threaded', base),
      fetched(new URL('model/model.json', base)),
      ...Object.keys(ON_GPU).map(name => fetched(new URL(`model/${name}.onnx`, base)).then(bytes))
    ])
    const facts = (await answer.json()) as Facts
    try {
      if (gpu) return new Model(facts, { kind: 'webgpu', threads: 1 }, await graphsOf(files, wasm, gpu))
    } catch {
      // What GPUs and their drivers can do differs.
    }
    try {
      return new Model(facts, { kind: 'wasm', threads: wasm.env.wasm.numThreads! }, await graphsOf(files, wasm, null))
    } catch (error) {
      throw new Problem('engine', String(error))
    }
  }

  /** What a graph makes of its inputs, by name. One runs at a time; who comes later waits. */
  run(name: string, inputs: Record<string, Values | Style>): Promise<Record<string, Values>> {
    const { ort, session } = this.graphs[name]
    const feeds: Record<string, Ort.Tensor> = {}
    for (const [key, value] of Object.entries(inputs)) {
      const { data, dims } = 'dims' in value ? value : { data: value, dims: [1, value.length] }
      feeds[key] = new ort.Tensor('float32', data, dims)
    }
    const done = this.last.then(() => session.run(feeds)) as Promise<Record<string, Values>>
    this.last = done.catch(() => {})
    return done
  }
}

async function graphsOf(files: Uint8Array[], wasm: typeof Ort, gpu: typeof Ort | null): Promise<Record<string, Graph>> {
  const graphs: Record<string, Graph> = {}
  for (const [i, [name, onGpu]] of Object.entries(ON_GPU).entries()) {
    const [ort, provider] = gpu && onGpu ? [gpu, 'webgpu'] : [wasm, 'wasm']
    graphs[name] = { ort, session: await ort.InferenceSession.create(files[i], { executionProviders: [provider], logSeverityLevel: 4 }) }
  }
  return graphs
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
