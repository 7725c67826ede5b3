// The service worker, told which files the page has and what they are like: a new page is a new cache.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')

const isExtra = name => name.includes('jspi') // which pages with WebGPU alone fetch

const files = readdirSync(dist, { recursive: true })
  .filter(name => statSync(join(dist, name)).isFile())
  .map(name => relative('.', name).split(sep).join('/'))
  .filter(name => !['sw.js', 'README.md', 'sources.txt'].includes(name))
  .sort()
const source = readFileSync(join(root, 'src/service-worker.js'), 'utf8')
const hash = createHash('sha256').update(source)
for (const name of files) hash.update(name).update(readFileSync(join(dist, name)))

const list = wanted => files.filter(wanted).map(name => (name === 'index.html' ? './' : name))
const filled = { VERSION: hash.digest('hex').slice(0, 16), FILES: list(name => !isExtra(name)), MORE: list(isExtra) }
writeFileSync(join(dist, 'sw.js'), source.replace(/__(VERSION|FILES|MORE)__/g, (_, word) => JSON.stringify(filled[word])))
