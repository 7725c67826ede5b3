// Everything that the page has fetched is kept, so that it opens without a network; the rest is fetched when the page asks for it.
//
// What is served carries the two headers without which browsers give a page no threads, for hosts that cannot send them. VERSION and FILES
// are filled in by scripts/service-worker.mjs.

const VERSION = __VERSION__
const FILES = __FILES__

const PREFIX = `adain ${self.registration.scope} ` // other pages of the same host have caches too
const CACHE = PREFIX + VERSION

self.addEventListener('install', () => self.skipWaiting())

self.addEventListener('activate', event => {
  const old = async () => {
    for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name)
  }
  event.waitUntil(Promise.all([old().catch(() => {}), self.clients.claim()]))
})

self.addEventListener('fetch', event => {
  const url = new URL(event.request.url)
  if (event.request.method === 'GET' && url.href.startsWith(self.registration.scope)) event.respondWith(answer(event))
})

self.addEventListener('message', event => {
  if (event.data === 'keep everything') event.waitUntil(keepEverything().then(told => event.source.postMessage({ kept: told })))
})

async function answer(event) {
  const key = event.request.mode === 'navigate' ? self.registration.scope : event.request.url.split('#')[0]
  const cache = await caches.open(CACHE).catch(() => null) // storage may be denied, or full
  const known = await cache?.match(key).catch(() => undefined)
  if (known) return isolated(known)
  const fresh = await fetch(event.request)
  if (cache && fresh.status === 200) event.waitUntil(cache.put(key, fresh.clone()).catch(() => {}))
  return isolated(fresh)
}

async function keepEverything() {
  try {
    const cache = await caches.open(CACHE)
    for (const name of FILES) {
      const url = new URL(name, self.registration.scope).href
      if (!(await cache.match(url))) await cache.add(new Request(url, { cache: 'no-cache' }))
    }
    return true
  } catch {
    return false
  }
}

function isolated(response) {
  if (response.type === 'opaqueredirect' || response.status === 0) return response
  const headers = new Headers(response.headers)
  headers.set('Cross-Origin-Opener-Policy', 'same-origin')
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp')
  headers.set('Cross-Origin-Resource-Policy', 'same-origin')
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}
