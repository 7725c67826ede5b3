// Everything that the page has fetched is kept, so that it opens without a network; the rest is fetched when the page asks for it.
//
// What is served carries the two headers without which browsers give a page no threads, for hosts that cannot send them. VERSION and FILES
// are filled in by scripts/service-worker.mjs.

const VERSION = __VERSION__
const FILES = __FILES__ // what every page needs,
const MORE = __MORE__ // and what is fetched by those pages alone that use it

const SCOPE = self.registration.scope
const PREFIX = `adain ${SCOPE} ` // other pages of the same host have caches too
const CACHE = PREFIX + VERSION
const OWN = new Set([...FILES, ...MORE].map(addressOf))
const FRESH = { cache: 'no-cache' } // the browser's own cache may hold files of another version

self.addEventListener('activate', event => {
  const old = async () => {
    for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name)
  }
  event.waitUntil(Promise.all([old().catch(() => {}), self.clients.claim()]))
})

self.addEventListener('fetch', event => {
  const address = event.request.url.split(/[?#]/)[0].replace(/\/index\.html$/, '/')
  // What else is at this address, now or later, is not this page's.
  if (event.request.method === 'GET' && OWN.has(address)) event.respondWith(answer(event, address))
})

self.addEventListener('message', event => {
  if (event.data === 'keep everything') event.waitUntil(keepEverything().then(told => event.source.postMessage({ kept: told })))
})

async function answer(event, address) {
  const cache = await caches.open(CACHE).catch(() => null) // storage may be denied, or full
  const known = await cache?.match(address).catch(() => undefined)
  if (known) return isolated(known)
  const fresh = await fetch(address, FRESH)
  if (cache && fresh.status === 200) event.waitUntil(cache.put(address, fresh.clone()).catch(() => {}))
  return isolated(fresh)
}

async function keepEverything() {
  try {
    const cache = await caches.open(CACHE)
    for (const address of FILES.map(addressOf)) {
      if (!(await cache.match(address))) await cache.add(new Request(address, FRESH))
    }
    return true
  } catch {
    return false
  }
}

function addressOf(name) {
  return new URL(name, SCOPE).href
}

function isolated(response) {
  if (response.type === 'opaqueredirect' || response.status === 0) return response
  const headers = new Headers(response.headers)
  headers.set('Cross-Origin-Opener-Policy', 'same-origin')
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp')
  headers.set('Cross-Origin-Resource-Policy', 'same-origin')
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}
