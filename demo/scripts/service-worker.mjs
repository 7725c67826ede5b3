// The service worker, told which files the page has and what they are like: a new page is a new cache.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')

// Fetched by those pages alone that use them.
const unneeded = name => name.includes('jspi') || ['sw.js', 'README.md', 'sources.txt'].includes(name)

const files = readdirSync(dist, { recursive: true })
  .filter(name => statSync(join(dist, name)).isFile())
  .map(name => relative('.', name).split(sep).join('/'))
  .filter(name => !unneeded(name))
  .sort()
const source = readFileSync(join(root, 'src/service-worker.js'), 'utf8')
const hash = createHash('sha256').update(source)
for (const name of files) hash.update(name).update(readFileSync(join(dist, name)))

const list = files.map(name => (name === 'index.html' ? './' : name))
const filled = { __VERSION__: JSON.stringify(hash.digest('hex').slice(0, 16)), __FILES__: JSON.stringify(list) }
writeFileSync(join(dist, 'sw.js'), source.replace(/__VERSION__|__FILES__/g, word => filled[word]))
