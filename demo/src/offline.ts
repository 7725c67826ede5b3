// The service worker: the page works without a network after the first visit, and has threads wherever it is put. Without one, where storage
// is denied for instance, it works as well, only online.

const RELOADED = 'adain reloaded'
const PATIENCE = 1500 // milliseconds in which a service worker is there, if at all

/**
 * Begin with it. If it can give this page the threads that its server did not, the page is loaded anew, once, and only if `untouched`;
 * this then never returns.
 */
export async function register(untouched: () => boolean): Promise<void> {
  if (!('serviceWorker' in navigator)) return
  try {
    const controlled = new Promise<void>(resolve => navigator.serviceWorker.addEventListener('controllerchange', () => resolve(), { once: true }))
    await navigator.serviceWorker.register(new URL('sw.js', document.baseURI))
    if (self.crossOriginIsolated || navigator.serviceWorker.controller || sessionStorage.getItem(RELOADED)) return
    await Promise.race([controlled, new Promise(resolve => setTimeout(resolve, PATIENCE))])
    if (!navigator.serviceWorker.controller || !untouched()) return
    sessionStorage.setItem(RELOADED, 'yes')
    location.reload()
    await new Promise(() => {})
  } catch {
    // Denied.
  }
}

/** Keep every file of the page; whether that succeeded. */
export async function keepEverything(): Promise<boolean> {
  if (!navigator.serviceWorker?.controller) return false
  return new Promise(resolve => {
    navigator.serviceWorker.addEventListener('message', ({ data }) => resolve(data.kept === true), { once: true })
    navigator.serviceWorker.controller!.postMessage('keep everything')
  })
}
