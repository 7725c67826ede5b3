// ONNX Runtime into the page's own folder, its WebAssembly compressed: not every host compresses it, and 14 MB become 4.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const from = join(root, 'node_modules/onnxruntime-web/dist')
const to = join(root, 'public/runtime')

mkdirSync(to, { recursive: true })
for (const name of ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort.jspi.min.mjs', 'ort-wasm-simd-threaded.jspi.mjs']) {
  copyFileSync(join(from, name), join(to, name))
}
for (const name of ['ort-wasm-simd-threaded.wasm', 'ort-wasm-simd-threaded.jspi.wasm']) {
  writeFileSync(join(to, `${name}.gz`), gzipSync(readFileSync(join(from, name)), { level: 9 }))
}
